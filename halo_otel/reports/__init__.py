"""Reports: one analysis as text, for programs (`contract`, `sarif`) and for people (`markdown`, `html`), for those who mend (`prompt`).

Promises: the same report always gives the same bytes; texts that come out of traces can neither leave
their place (a table, a heading, a link, a terminal line) nor be run by whatever shows the report. What
people read begins with what to fix first (`summary`).
"""
