"""
The parts of one pool know each other, and those of no other pool.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from webworker_executor import BrokenWorkerPool, WebWorkerExecutor

if TYPE_CHECKING:
    from webworker_executor import ExecutorStatistics


def counts(statistics: ExecutorStatistics) -> tuple[int, int, int]:
    return statistics.n_submitted, statistics.n_done, statistics.n_workers_started


def test_two_executors_have_nothing_in_common(forked: WebWorkerExecutor) -> None:
    """
    Each counts its own tasks, has its own workers, and breaks alone.
    """
    with WebWorkerExecutor(1, launcher="fork") as other:
        pids = [each.submit(os.getpid).result(20.0) for each in (forked, other, other)]
        assert (2, pids[1]) == (len(set(pids)), pids[2])
        assert [(1, 1, 1), (2, 2, 1)] == [counts(each.statistics()) for each in (forked, other)]
        forked.kill_workers()
        with pytest.raises(BrokenWorkerPool):
            forked.submit(abs, -1)
        assert pids[1] == other.submit(os.getpid).result(20.0)
