"""The model tier: a model explores one window through typed tools, and nothing it claims ships unchecked.

    environment     what it can look at: read-only tools over one analysed view, every reply bounded
    claims          what it may say: one schema
    verify          what of that is true: each claim re-run against the environment

Promises: a reply never exceeds its bytes, says what was cut and how to get it, and is the same for the
same window; what traces say stands inside a fence that no trace can close; texts leave only as `shown`
returns them; a claim is `Verified` only if its predicates hold again, its spans exist, its quotes stand
there, its figures are those of the predicates, and causes have an edge.
"""
