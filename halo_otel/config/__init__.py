"""Every knob there is: name, default, limit and one line of help, read once at start.

`sections` holds the typed sections, one per room; `load` reads the YAML file and the `HALO_…`
environment; `describe` turns the same definitions into the defaults file and the README's table.
A room is given its own section, never the whole `Config`. Only this room reads the environment.
"""
