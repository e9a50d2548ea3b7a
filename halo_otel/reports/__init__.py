"""Reports: one analysis as text, for programs (`contract`) and for people (`markdown`).

Promises: the same report always gives the same bytes; texts that come out of traces can neither leave
their place (a table, a heading, a link, a terminal line) nor be run by whatever shows the report.
"""
