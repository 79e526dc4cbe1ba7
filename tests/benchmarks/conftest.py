"""
Each benchmark runs once for each executor, and is printed beside the others of its group.

Run them with ``tox -e bench``, or ``python -m pytest tests/benchmarks --benchmark-only``. A normal
test run leaves them out, for a number from a busy machine is worse than none. No benchmark asserts
on time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.contender import CONTENDERS, EXECUTORS
from tests.benchmarks.tasks import nothing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from pathlib import Path

N_WORKERS = 2


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """
    Leave the benchmarks out, unless the run is for benchmarks only.
    """
    is_benchmark = collection_path.name.startswith("test_")
    return True if is_benchmark and not config.getoption("benchmark_only", False) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """
    Let contenders that fork a process with threads do so, as their users would.
    """
    item.add_marker(pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"))
    item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> None:
    """
    Allow what the other tests may not: some contenders keep helper processes until the exit.
    """


@pytest.fixture(params=list(EXECUTORS))
def contender(request: pytest.FixtureRequest) -> str:
    """
    Name each executor that takes part.
    """
    name: str = request.param
    if not CONTENDERS[name].is_installed():
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture
def executor(contender: str) -> Iterator[Executor]:
    """
    Make an executor whose workers are all up, so that their start is not measured.
    """
    with EXECUTORS[contender](N_WORKERS) as executor:
        warm_up(executor)
        yield executor


def warm_up(executor: Executor) -> None:
    """
    Start all workers, and let each import what the benchmarks call.
    """
    for _ in range(3):
        for future in [executor.submit(nothing) for _ in range(50 * N_WORKERS)]:
            future.result()
