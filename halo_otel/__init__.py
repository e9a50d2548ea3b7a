"""halo-otel: what systematically goes wrong in your agents, from the traces you already collect."""

__version__ = "0.1.0"
