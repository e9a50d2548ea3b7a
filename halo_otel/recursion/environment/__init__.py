"""One analysed view of windows, to be looked at by a model.

    with Environment(view, report, judgements, shown=redact) as environment:
        registry.TOOLS                                  the tools, as a model is told of them
        call(environment, "search", '{"pattern": …}')   one reply; bad arguments are answered, never raised

`tables` says what is copied into the database that queries run on, `tools` has one file per tool,
`registry` lists and calls them, `reply` cuts and fences what goes out, `likeness` finds the run that
stands for a cluster and the passing one nearest to it. The environment may be used from several threads.
"""
