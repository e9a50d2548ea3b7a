"""What systematically goes wrong in the traces of a view of windows.

    frame ─ detectors ─ judgement          map: one shard of traces, nothing crosses a trace's border
               ▲             │
            profile          ▼
    (merge = add)         reduce           all judgements of the lookback → ranked findings

`run.analyse` does one analysis over a view; `scheduler.Scheduler` decides when, and remembers the
judgements of the lookback between runs; `tree.goal_tree` shows one trace as goals.

Promises: pure over the view (no clock, no registry, no network); the same rows in any order, and the
same traces cut into any shards, give the same findings; cost is linear in spans, the heavy work is
SQL, Python touches traces, hits and findings only. What is unknown (NULL) is never equal to anything:
where a payload is missing a detector abstains.
"""
