"""What a model claims, and whether it may be said.

    claim       what it may say: one schema
    verify      what of that is true: each claim re-run against the environment, its `figures` counted again
    checking    the way of a report: verified, corrected once, then given to somebody else to refute
    recalling   a claim of an earlier window, verified again with the figures of this one
    telling     claims that hold, as findings and as explanations of findings

A claim is `Verified` only if its predicates hold again, its spans exist, its quotes stand there, its figures
are those of the predicates, and causes have an edge.
"""
