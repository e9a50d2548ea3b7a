"""Trace files to spans, log records or export requests, for `analyze`, `replay` and the demo.

Promises: files are streamed, memory is bounded by the longest line; a bad line is reported with its
file and number and skipped; a file that is no trace file at all stops with a `BadFile`.

    files (which files, what becomes of them) ─▶ formats (what is in one file)
"""
