"""Did the run do its task, and what made what fail: outcomes without labels, and causes.

`outcome` combines label functions that abstain; `causes` finds the edges along which a failure passed on;
`origins` says what a run came with before it began, `inference` holds the tests.
"""
