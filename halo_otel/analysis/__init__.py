"""What systematically goes wrong in the traces of a view of windows.

    frame ─ detectors ─ judging            map: one shard of traces, nothing crosses a trace's border
               ▲           │ judgements
             usual         ▼
    (merge = add)        reduce            all judgements of the lookback → ranked findings:
                                           causality (outcomes, causes) ─ claims (gate, folding, ranking)
                                           ─ cohorts

`run.analyse` does one analysis over a view; `scheduler.Scheduler` decides when, and remembers the
judgements of the lookback between runs; `change` compares windows, versions and whole sets of traces;
`goals.tree` shows one trace as goals. `wrongcalls` and `teams` are what the detectors of those families know
in common.

Promises: pure over the view (no clock, no registry, no network); the same rows in any order, and the
same traces cut into any shards, give the same findings; cost is linear in spans, the heavy work is
SQL, Python touches traces, hits and findings only. What is unknown (NULL) is never equal to anything:
where a payload is missing a detector abstains.
"""
