"""Control: what a person or a program asks a running service, over gRPC (`proto/halo/v1`).

    cli ─ client ──gRPC──▶ front: proxy ──unix socket──▶ engine: servicer ─▶ sources

`servicer` answers in the engine process from the callables in `sources`; `proxy` lets the front
process offer the same service on the OTLP port without looking into it; `client` is the other end,
for the command line. `convert` alone knows how model values look on the wire.

Promises: every error has a status code a client can act on (never UNKNOWN), nothing here blocks the
event loop, and a slow client costs no more than its own stream.
"""
