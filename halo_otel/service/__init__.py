"""Composition: the only room that knows all others.

The service is two processes, so that acknowledging never waits for analysing:

    front   receiver ─▶ journal         (accepts, fsyncs, acknowledges; does nothing heavy)
      │ durable offsets, counters  ▼  ▲ checkpoints, counters
    engine  ingest ─▶ window ─▶ analysis ─▶ findings ─▶ emitter     (and the control API)

The front starts the engine and speaks with it over two pipes (`link`). When either dies the other
follows: a restart finds everything acknowledged in the journal. `offline` composes the same stages
without a service for `halo-otel analyze`.
"""
