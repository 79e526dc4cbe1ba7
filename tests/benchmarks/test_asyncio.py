"""
What a call costs that is awaited in an event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.rounds import in_rounds
from tests.benchmarks.tasks import add

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from pytest_benchmark.fixture import BenchmarkFixture

N_CALLS = 5_000


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """
    Keep one event loop for all rounds, so that its making is not measured.
    """
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.benchmark(group=f"asyncio: gather {N_CALLS} calls")
def test_gather(benchmark: BenchmarkFixture, executor: Executor, loop: asyncio.Runner) -> None:
    """
    Many calls are awaited together.
    """

    async def gather() -> int:
        running = asyncio.get_running_loop()
        calls = [running.run_in_executor(executor, add, number, 1) for number in range(N_CALLS)]
        return sum(await asyncio.gather(*calls))

    total = in_rounds(benchmark, lambda: loop.run(gather()))
    assert N_CALLS * (N_CALLS + 1) // 2 == total


@pytest.mark.benchmark(group="asyncio: await 100 calls one after the other")
def test_await(benchmark: BenchmarkFixture, executor: Executor, loop: asyncio.Runner) -> None:
    """
    Each call is awaited before the next is made.
    """

    async def one_by_one() -> int:
        running = asyncio.get_running_loop()
        return sum([await running.run_in_executor(executor, add, n, 1) for n in range(100)])

    assert 5050 == in_rounds(benchmark, lambda: loop.run(one_by_one()), n_rounds=10)
