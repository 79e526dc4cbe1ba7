"""
``map`` and ``starmap``, of executors and of views.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pool.work import add, double
from webworker_executor.pool.spreading import SpreadingExecutor

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from webworker_executor import WebWorkerExecutor


def test_executors_and_views_spread_alike(forked: WebWorkerExecutor) -> None:
    """
    The maps are the same functions, over what each does with calls.
    """
    for executor in (forked, forked.options(retries=1)):
        assert isinstance(executor, SpreadingExecutor)
        assert [2, 4] == list(executor.map(double, [1, 2]))
        assert [3, 7] == list(executor.starmap(add, [(1, 2), (3, 4)], chunksize=2))
        with pytest.raises(ValueError, match="chunksize must be"):
            executor.starmap(add, [], chunksize=0)


def test_a_wrong_argument_is_told_of_the_executor(forked: WebWorkerExecutor) -> None:
    """
    Users know none of its bases.
    """
    keywords = {"chunk": 1}
    with pytest.raises(TypeError, match=r"^WebWorkerExecutor\.map\(\) got an unexpected"):
        forked.map(double, [1], **keywords)


def test_an_executor_says_how_calls_are_run() -> None:
    """
    The base class alone runs none.
    """
    spreading: Executor = SpreadingExecutor()
    with pytest.raises(NotImplementedError):
        spreading.map(double, [1])
