"""
What an item of ``map`` costs, with chunks and without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.rounds import in_rounds
from tests.benchmarks.tasks import increment

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize(
    ("n_items", "options"),
    [
        pytest.param(5_000, {}, id="default"),
        pytest.param(5_000, {"chunksize": 1}, id="chunksize-1"),
        pytest.param(200_000, {"chunksize": 5_000}, id="chunksize-5000"),
    ],
)
def test_map(
    benchmark: BenchmarkFixture, executor: Executor, n_items: int, options: dict[str, Any]
) -> None:
    """
    A cheap function is mapped over numbers.
    """
    benchmark.group = f"map: {n_items} items, {options or 'no chunksize given'}"

    def map_all() -> int:
        return sum(executor.map(increment, range(n_items), **options))

    total = in_rounds(benchmark, map_all)
    assert n_items * (n_items + 1) // 2 == total
