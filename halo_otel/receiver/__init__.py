"""OTLP in: gRPC and HTTP, traces and logs; metrics are accepted and ignored.

    grpc_server ┐                              ┌ admission   what may go in (pure)
                ├─▶ intake ─▶ journal.append   ┤ utf8        a broken string costs no request
    http_server ┘                              └ endpoint, asgi   where and how servers listen

    door ─ identity   TLS and rotated certificates        connection   deadlines of one HTTP connection
         └ tokens     bearer tokens from a file

Promises:
- a success is sent only after the request was fsynced;
- the answers are those of OTLP 1.11: bad spans are rejected one by one, garbage is told apart from
  overload, and nothing that may succeed later gets a permanent code (the Collector drops data on
  those), not even our own mistakes;
- what one request and all requests together may hold is bounded, also after decompression;
- who carries no token is told so before a body is read, where tokens are asked for; a rotation of tokens
  or certificates needs no restart, and one that is no good changes nothing;
- connections that are slow or silent are ended, and there are never more than allowed;
- our own telemetry never goes in again: it is dropped here and counted.

Each server has one table from our errors to its answers. `web` serves health, readiness, metrics
(`exposition`).
"""
