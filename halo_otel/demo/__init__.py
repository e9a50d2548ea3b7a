"""Agent traffic with known faults, bundled real traces, and the guided tour that `halo-otel demo` shows.

    applications ──play──▶ recording ──speak──▶ dialects ──▶ traffic (spans + labels) ──▶ OTLP requests
                  ▲
                faults

Promises: the same seed gives the same spans, byte for byte; nothing here reads the clock (times are
given); every planted fault comes back with a label naming its traces, spans and cause; what is not
planted is healthy, although it always holds what naive rules mistake for faults (polling, pagination,
edit-test cycles, a retry that works, a heartbeat).
"""
