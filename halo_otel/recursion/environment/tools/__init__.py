"""The tools, one file each: the arguments (their docstring is the description a model reads) and `run`.

    window    overview, clusters, findings, cohort           what is there, what is wrong, who it concerns
    any       query, search                                  SQL over the copy, patterns over its texts
    one run   trace, goal_tree, compare, path, span          from the run down to what was said

`run(environment, arguments)` gives a `Reply`; it never raises for what a model wrote, except `BadQuery`,
which `registry.call` answers.
"""
