"""The harness plants, analyses and counts."""

from tests.eval.run import Task, outcome, tasks


def test_clean_windows_take_the_seeds_of_their_half() -> None:
    todo = tasks(["alpha"], [1, 3], clean=3, faults=["waiting"])
    assert [(one.fault, one.seed) for one in todo] == [
        ("waiting", 1),
        ("waiting", 3),
        (None, 1),
        (None, 3),
        (None, 5),
    ]


def test_a_planted_loop_is_found_and_its_cause_located() -> None:
    told = outcome(Task(generator="alpha", seed=0, fault="loop_exact"))
    hits = [one for one in told.judged if one.worth == "hit" and one.alarming]
    assert hits
    assert min(one.rank for one in hits) == 1
    assert told.naive_hit
