"""The agents' source code as evidence: one directory, read and never written, and nothing outside it.

    code = Codebase.open(path)                      ConfigError if it cannot be looked at
    code.tree("", depth=2)                          what there is
    code.lines("src/agent.py")                      one file
    code.matches("max_retries", "*.py")             where a pattern stands
    code.history                                    git's log, blame and show; None without a repository

`tree` reads files, `git` asks git, `secrets` knows files that nobody shows to strangers.

Promises: a path leads to a regular file below the directory without passing a symbolic link, or nowhere; in
a repository what git ignores does not exist; `.git`, binary files, files above a size and files that look
like secrets are not read. The tree may be hostile: nothing in it or in its git configuration is executed,
no pattern takes more than time linear in the text, no output is larger than its limit. What files say is
strangers' text and is given out as it is; who shows it masks and fences it.
"""
