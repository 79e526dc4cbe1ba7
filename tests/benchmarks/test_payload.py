"""
What large arguments and results cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.benchmarks.tasks import same, touch

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from pytest_benchmark.fixture import BenchmarkFixture

KIB, MIB = 1 << 10, 1 << 20
SIZES = {"1 KiB": KIB, "64 KiB": 64 * KIB, "1 MiB": MIB, "16 MiB": 16 * MIB}


@pytest.fixture(params=["bytes", "numpy"])
def payload(request: pytest.FixtureRequest, size: str) -> Any:
    """
    Make a payload of each kind.
    """
    if request.param == "bytes":
        return bytes(SIZES[size])
    numpy = pytest.importorskip("numpy")
    return numpy.zeros(SIZES[size], dtype=numpy.uint8)


def kind_of(payload: Any) -> str:
    """
    Tell the kinds of payload apart in the name of a group.
    """
    return "bytes" if isinstance(payload, bytes) else "numpy array"


@pytest.mark.parametrize("size", list(SIZES))
def test_argument(benchmark: BenchmarkFixture, executor: Executor, payload: Any, size: str) -> None:
    """
    A payload is sent to a worker, which looks at both its ends.
    """
    benchmark.group = f"payload: {size} as {kind_of(payload)} to a worker"
    executor.submit(touch, payload).result()
    assert 0 == benchmark(lambda: executor.submit(touch, payload).result())


@pytest.mark.parametrize("size", list(SIZES))
def test_there_and_back(
    benchmark: BenchmarkFixture, executor: Executor, payload: Any, size: str
) -> None:
    """
    A payload is sent to a worker and comes back.
    """
    benchmark.group = f"payload: {size} as {kind_of(payload)} there and back"
    executor.submit(same, payload).result()
    answer = benchmark(lambda: executor.submit(same, payload).result())
    assert len(payload) == len(answer)
