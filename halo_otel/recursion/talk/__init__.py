"""Conversations with a model.

inquiry      one conversation: it looks around with tools until it reports, or until it must
compaction   old turns as notes, when it grows
mapping      the tool `map`: one question about every group of a query's rows (`groups`)
conversing   a conversation of the tier, from its first words to claims that may be said
"""
