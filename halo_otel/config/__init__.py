"""Every knob there is: name, default, limit and one line of help, read once at start.

`sections` holds the typed sections, one per room, and `keys` lists their leaves; `load` reads the YAML
file and the `HALO_…` environment (`tree` is what they hold, `checks` what must agree, `complaints`
what is said when it does not); `describe` turns the same definitions into the defaults file and the
README's table. A room is given its own section, never the whole `Config`. Only this room reads the
environment.
"""
