"""What several agents work on together: `resources` (what a call touches, which version it saw) and
`teamwork` (how agents of a service usually wait for and use each other).
"""
