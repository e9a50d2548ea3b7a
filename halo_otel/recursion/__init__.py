"""The model tier: a model explores one window through typed tools, and nothing it claims ships unchecked.

    deepen       the report of a window, deepened: parts of runs, clusters, the window
      plan       what is looked at: a tree of tasks, which `worklist` works off from the leaves up
      local      one part of a run, judged for itself
    environment  what a model can look at: read-only tools over one analysed view, every reply bounded
    talk         conversations, and `map`: what a sub-model says of every group of a query's rows, as a table
    claims       what may be said: checked against the environment, told as findings
    absence      what the silence of a run says of what the model found before
    memory       what was asked before and is not paid for again
    prompts      everything we say to a model, in versions; progress: what a listener hears

Promises: a reply never exceeds its bytes, says what was cut and how to get it, and is the same for the
same window; what traces say stands inside a fence that no trace can close; texts leave only as `shown`
returns them; no claim ships that is not `Verified`, and what it costs grows with clusters, not with traces.
"""
