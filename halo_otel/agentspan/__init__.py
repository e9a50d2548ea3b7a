"""Any dialect of agent telemetry to one vocabulary: `normalise(span) -> AgentFacts`.

Promises: never raises, whatever a span holds; a fact that is empty or redacted is `None`, never a
value; for every fact the key it was read from is kept.

One file per dialect says how to recognise it and how to read what is peculiar to it; the one table
in `precedence` says for every fact which source is believed first. A new dialect is one file, one
entry in `precedence.DIALECTS` and its rows in the table. Nothing else knows a vendor.

    normalise ─▶ precedence ─▶ one file per dialect, fallback ─▶ messages, flattened, values, source
"""
