"""
Who has been idle for too long.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.rules.idleness import Idleness
from webworker_executor.rules.worker import Worker


def test_nobody_looks_where_nobody_may_leave() -> None:
    """Without a time, and with no more workers than shall stay, no alarm is wanted."""
    assert not Idleness(None, 0).wakes(5)
    idleness = Idleness(1.0, 2)
    assert not idleness.wakes(2)
    assert idleness.wakes(3)
    assert not idleness.wakes(3)


@given(
    seconds=st.floats(0.01, 100.0),
    least=st.integers(0, 4),
    steps=st.lists(st.tuples(st.floats(0.0, 60.0), st.integers(0, 3)), max_size=12),
)
def test_a_worker_leaves_in_time_and_never_before(
    seconds: float, least: int, steps: list[tuple[float, int]]
) -> None:
    """Who is used in between stays, and as many as shall stay do."""
    idleness, now = Idleness(seconds, least), 0.0
    workers = [Worker(ident, ident) for ident in range(4)]
    used_at = dict.fromkeys(workers, 0.0)
    for step, index in steps:
        now += step
        leaving = idleness.look(now, workers, len(workers), ())
        for worker in leaving:
            assert used_at[worker] + seconds <= now
            workers.remove(worker)
        assert len(workers) >= min(least, 4)
        assert (idleness.look_at is None) == (len(workers) <= least)
        if index < len(workers):
            workers[index].n_sent += 1
            used_at[workers[index]] = now


def test_the_longest_idle_leaves_first() -> None:
    """They stand in the order of their last use."""
    idleness, workers = Idleness(1.0, 1), [Worker(0, 0), Worker(1, 1)]
    assert [] == idleness.look(0.0, workers, 2, ())
    assert [workers[0]] == idleness.look(1.0, workers, 2, ())
    assert idleness.look_at is None


def test_a_place_that_a_task_waits_for_is_not_left() -> None:
    """Its worker would only have to be started again."""
    idleness, worker = Idleness(1.0, 0), Worker(0, 3)
    idleness.look(0.0, [worker], 1, ())
    assert [] == idleness.look(9.0, [worker], 1, {3})
    assert [worker] == idleness.look(9.0, [worker], 1, ())
