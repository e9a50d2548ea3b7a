"""From hits to findings: which claims are told, how sure, how bad, in what words and order.

hit ─▶ gathering (patterns by fingerprint, templates) ─▶ gate (policy, statistics) ─▶ folding ─▶ ranking
detector: what a detector is · wording, phrases, capture: what is said · exposure: who could have shown it
"""
