"""Any dialect of agent telemetry to one vocabulary: `normalise(span) -> AgentFacts`.

Promises: never raises, whatever a span holds; what is empty, redacted or cut is `None`, never a
value; for every fact the key it was read from is kept.

One file per dialect says how to recognise it and how to read what is peculiar to it; the one table
in `precedence` says for every fact which source is believed first. A new dialect is one file, one
entry in `precedence.DIALECTS` and its rows in the table. Nothing else knows a vendor.

`logevents` makes log records that tell about a span the span events they stand for.

    normalise ─▶ precedence ─▶ one file per dialect, fallback, unknown ─▶ messages, definitions,
                                                      documents, evaluation, flattened, values, source

Beside it stands `prices`: what a call cost where no key tells.
"""
