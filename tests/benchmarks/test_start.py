"""
What it costs to have workers at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.conftest import N_WORKERS
from tests.benchmarks.contender import EXECUTORS
from tests.benchmarks.rounds import in_rounds
from tests.benchmarks.tasks import add

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.benchmark(group="start: until the first result of a new executor")
def test_first_result(benchmark: BenchmarkFixture, contender: str) -> None:
    """
    An executor is made and gives its first result; closing it is not counted.
    """
    made: list[Executor] = []

    def first_result() -> int:
        made.append(EXECUTORS[contender](N_WORKERS))
        return made[-1].submit(add, 1, 2).result()

    def close_last() -> None:
        for executor in made:
            executor.shutdown()
        made.clear()

    # `setup` runs before each round, so the last executor is closed after them all.
    assert 3 == in_rounds(benchmark, first_result, n_rounds=10, before_each=close_last)
    close_last()


@pytest.mark.benchmark(group="start: a whole life, with one result of each worker")
def test_life(benchmark: BenchmarkFixture, contender: str) -> None:
    """
    An executor is made, used and closed.
    """

    def live() -> int:
        with EXECUTORS[contender](N_WORKERS) as executor:
            return sum(executor.map(add, range(N_WORKERS), range(N_WORKERS)))

    assert N_WORKERS * (N_WORKERS - 1) == in_rounds(benchmark, live, n_rounds=10)
