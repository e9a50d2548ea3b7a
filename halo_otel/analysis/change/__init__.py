"""What changed: one set of traces against another, a window against those before it.

`compare` puts two sets of traces or two reports side by side (`halo-otel diff`, `analyze --baseline`);
`watch` tests each window against the last seven days while the service runs.

A change is told where it is unlikely to be luck *and* large enough to matter, tested trace by trace with
all comparisons counted (Benjamini–Hochberg). That something is fixed needs exposure, never mere silence:
at its old rate it should have been seen three times or more (rule of three, detectors.md §1.7).
"""
