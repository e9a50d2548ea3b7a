"""The append-only record of every acknowledged request.

    append ─▶ waiting ─▶ writev + fdatasync (one group) ─▶ durable ─▶ acknowledged
                                                              │
              trimmed ◀─ checkpoint ◀─ committed in a window ◀┘ JournalReader

Owns a directory of segment files named by the offset of their first byte. An offset is a byte
position in the whole journal; it never starts again while the directory lives.

Promises:
- what `append` returned for has been fsynced: it survives `kill -9` and a power loss;
- a torn tail, which was never acknowledged, is cut at start and counted; any other damage stops the
  start with `JournalDamaged`, or is set aside and counted if `journal.on_damage` says so;
- bytes are never changed silently: every frame is checked when written, at start and when read;
- the size is bounded: a full journal or disk refuses (`JournalFull`) and drops nothing;
- after a failed fsync nothing more is acknowledged and `Journal.run` ends the service.

`frame` is the format, `segment` the files, `recovery` what happens at start, `journal` the writer,
`reader` the engine's side, `checkpoint` the small file that says what is no longer needed.
"""

from halo_otel.journal.checkpoint import read_checkpoint
from halo_otel.journal.frame import Frame, FrameKind
from halo_otel.journal.journal import Journal
from halo_otel.journal.reader import JournalReader, oldest_offset

__all__ = ["Frame", "FrameKind", "Journal", "JournalReader", "oldest_offset", "read_checkpoint"]
