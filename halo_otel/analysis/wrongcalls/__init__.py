"""What tools may be called with: definitions that were offered, schemas learned from calls that worked.

`offered` reads definitions, `schemas` judges a call's shape, `complaints` reads what error texts say about
arguments, `told` looks a value up in everything that was said before.
"""
