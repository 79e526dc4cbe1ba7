"""
What one call costs, alone and among thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.rounds import in_rounds
from tests.benchmarks.tasks import add, fail, nothing

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pytest_benchmark.fixture import BenchmarkFixture

N_TASKS = 5_000
N_FAILURES = 500


@pytest.mark.benchmark(group="submit: one call there and back")
def test_round_trip(benchmark: BenchmarkFixture, executor: Executor) -> None:
    """
    One call is awaited before the next is made.
    """
    assert 3 == benchmark(lambda: executor.submit(add, 1, 2).result())


@pytest.mark.benchmark(group=f"submit: {N_TASKS} calls of a function without arguments")
def test_nothing(benchmark: BenchmarkFixture, executor: Executor) -> None:
    """
    Many calls are made, then all are awaited.
    """

    def submit_all() -> None:
        futures = [executor.submit(nothing) for _ in range(N_TASKS)]
        for future in futures:
            future.result()

    in_rounds(benchmark, submit_all)


@pytest.mark.benchmark(group=f"submit: {N_TASKS} calls of a function with two arguments")
def test_add(benchmark: BenchmarkFixture, executor: Executor) -> None:
    """
    Many calls with arguments are made, then all are awaited.
    """

    def submit_all() -> int:
        futures = [executor.submit(add, number, 1) for number in range(N_TASKS)]
        return sum(future.result() for future in futures)

    total = in_rounds(benchmark, submit_all)
    assert N_TASKS * (N_TASKS + 1) // 2 == total


@pytest.mark.benchmark(group=f"submit: {N_FAILURES} calls that raise")
def test_failures(benchmark: BenchmarkFixture, executor: Executor) -> None:
    """
    Every call raises an exception from under three frames.
    """

    def submit_all() -> int:
        futures = [executor.submit(fail, 3) for _ in range(N_FAILURES)]
        return sum(isinstance(future.exception(), ValueError) for future in futures)

    n_raised = in_rounds(benchmark, submit_all)
    assert n_raised == N_FAILURES
