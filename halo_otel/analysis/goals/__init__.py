"""Spans into goals, in columns: many traces at once, about five microseconds a span.

    spans ─▶ shape ─▶ growth ─▶ (verdicts) ─▶ goal nodes
    one SQL   who is    levels,     ▲
    query     below     episodes    names

`spans` reads what a tree needs and nothing longer than a name; `shape` settles parents, clocks,
agents and usage; `growth` makes the levels, `episodes` splits what lies flat, `names` words it.

Promises: every span becomes exactly one node, whatever parents and times senders claim; nothing
recurses; names are one line of printable characters, at most `names.CHARS_MAX` long.
"""
