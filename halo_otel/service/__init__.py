"""Composition: the only room that knows all others.

The service is two processes, so that acknowledging never waits for analysing:

    front   receiver ─▶ journal         (accepts, fsyncs, acknowledges; does nothing heavy)
      │ durable offsets, counters  ▼  ▲ checkpoints, counters
    engine  ingest ─▶ window ─▶ analysis ─▶ findings ─▶ emitter     (and the control API)

The front starts the engine and speaks with it over two pipes (`link`). An engine that dies is started
again (`keeper`); when the front dies the engine follows. Either way everything acknowledged is in the
journal. `offline` composes the same stages
without a service for `halo-otel analyze`.
"""
