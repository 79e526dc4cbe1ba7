"""
The tally counts what came to no good end.
"""

from __future__ import annotations

from webworker_executor.pool.tally import Tally


def test_a_retry_is_no_end() -> None:
    """
    Neither is a call that was never a task.
    """
    tally = Tally()
    tally.n_retried = tally.n_unpackable = 100
    assert 0 == tally.n_ended_badly
    tally.n_failed, tally.n_cancelled, tally.n_crashed = 1, 2, 4
    tally.n_timed_out, tally.n_aborted = 8, 16
    assert 31 == tally.n_ended_badly
