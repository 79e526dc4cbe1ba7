"""
A fixed number of measured rounds, for work that is too long to be repeated until the clock is sure.

Not for short work: the ``benchmark`` fixture itself finds how often that must run. Whoever changes
the number of rounds must keep one that is not measured: the first pays for memory and caches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")


def in_rounds(
    benchmark: BenchmarkFixture,
    fn: Callable[[], T],
    n_rounds: int = 5,
    before_each: Callable[[], None] | None = None,
) -> T:
    """
    Measure some work round by round.

    Args:
        benchmark: The fixture of the test.
        fn: The work.
        n_rounds: How many rounds are measured, after one that is not.
        before_each: What to do before each round, unmeasured.

    Returns:
        What the last round returned.
    """
    result: T = benchmark.pedantic(  # type: ignore[no-untyped-call]  # pytest-benchmark has no types
        fn, setup=before_each, rounds=n_rounds, warmup_rounds=1
    )
    return result
