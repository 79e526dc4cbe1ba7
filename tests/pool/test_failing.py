"""
What cannot be packed fails its own future, as the standard library has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pool.work import Unpackable, double
from webworker_executor.pool.failing import fail_packing

if TYPE_CHECKING:
    from webworker_executor import WebWorkerExecutor


def test_the_future_has_failed_with_the_text_of_the_traceback(forked: WebWorkerExecutor) -> None:
    """
    The cause shows where packing failed; the pool has counted it.
    """
    try:
        raise ValueError("why")
    except ValueError as error:
        future = fail_packing(forked._pool, error)
    exc = future.exception(0)
    assert isinstance(exc, ValueError)
    assert "in test_the_future_has_failed_with_the_text" in str(exc.__cause__)
    assert (1, 1) == (forked.statistics().n_submitted, forked.statistics().n_failed)


def test_one_bad_argument_fails_one_task(pool: WebWorkerExecutor) -> None:
    """
    ``submit`` itself does not raise, and the tasks around are done.
    """
    futures = [pool.submit(double, argument) for argument in (1, Unpackable(), 3)]
    assert 2 == futures[0].result(10.0)
    with pytest.raises(ValueError, match="not to be packed"):
        futures[1].result(10.0)
    assert 6 == futures[2].result(10.0)


class Interrupting:
    """
    An argument whose packing is interrupted by Ctrl-C.
    """

    def __reduce__(self) -> tuple[object, ...]:
        raise KeyboardInterrupt


def test_ctrl_c_while_packing_is_not_swallowed(forked: WebWorkerExecutor) -> None:
    """
    An interrupt belongs to the program, not to a future.
    """
    with pytest.raises(KeyboardInterrupt):
        forked.submit(double, Interrupting())
    assert 4 == forked.submit(double, 2).result(10.0)
