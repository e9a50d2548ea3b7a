"""Trace files and live servers to spans, log records or export requests: for `analyze`, `replay`,
`import` and the demo.

Promises: files are streamed, memory is bounded by the longest line, document or Parquet row group; a
bad line, row or span is reported with its file and number and costs itself only; a file that is no
trace file at all stops with a `BadFile`. The content says what a file is, never its name. Spans of
other tools keep the attribute names of their dialect, so `agentspan` understands them as if they had
come over OTLP; ids that OTLP cannot hold become the same other ids each time.

    files (which files, what becomes of them) ─▶ formats (what is in one file), parquet
       └▶ foreign (whose JSON is it) ─▶ halo, jaeger, langfuse, phoenix ─▶ fields, kinds
    pull (page by page, resumed) ─▶ servers (Langfuse, Phoenix) ─▶ api (HTTP), foreign

A new format is one file and one entry in `foreign.FORMATS`.
"""
