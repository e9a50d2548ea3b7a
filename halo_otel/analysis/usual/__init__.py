"""What is usual, learned from whatever traces are at hand: mergeable, small statistics.

`profile` gathers them; merging is addition, in any order, so that shards and runs add up. What a group of
comparable operations or runs does most of the time is what detectors compare with.

    histogram ─▶ modes (two populations or one)      durations (profile) · spending · extent
    course (how runs go) · tooluse (how tools are called) · popular (calls that many traces make)
"""
