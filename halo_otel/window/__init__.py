"""Rolling windows: what arrived between two moments, in one DuckDB file each.

A window is open (rows come in), then sealed (closed, read-only), then expired (deleted whole, by age
and by bytes). Promises:

- Rows and the journal offset they reach up to are committed together, so after a crash a window holds
  each journaled frame once, wholly or not at all.
- A view shows every span once, however often it was sent, and stays as it was while rows come in,
  windows are sealed and others expire.
- A sealed window is written anew without the traces that no agent span came for; their counts stay.
  Views that are open keep what they show, and a crash leaves the old file or the new one.
- A file that an older version wrote is brought up to date at the start.
- A file that cannot be read is moved to `damaged`, named and counted, and the others go on; what the
  journal still holds of it is stored again. Or it stops the start, if `window.on_damage` says so.
- A file that a newer version wrote stops the start.

`store` holds the service's windows, `single` one window for offline use; `view` reads both, `joined`
adds to a view's spans what log records tell about them; `compaction` says what is about no agent.
"""

from halo_otel.window.schema import Batch, Columns, LetGo, WindowInfo

__all__ = ["Batch", "Columns", "LetGo", "WindowInfo"]
