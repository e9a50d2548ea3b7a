"""The nouns everybody shares: spans, agent facts, goals, findings, reports.

Plain frozen dataclasses on the standard library alone; this room imports nothing of ours but errors.
"""
