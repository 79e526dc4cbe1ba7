"""
``map`` as it comes, and one item at a time.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import increment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender
    from tests.benchmarks.face import Face


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Map a cheap function over numbers, without naming a chunksize and with one of 1."""
    with contender.make(2) as face:
        face.warm_up()
        yield "map-default", map_rate(face, 1_000 if quick else 20_000, None)
        yield "map-one", map_rate(face, 500 if quick else 5_000, 1)


# A map of 20,000 takes a few milliseconds, so that one wake-up that is late is a third of it.
_N_MAPS = 3


def map_rate(face: Face, n_items: int, chunksize: int | None) -> float:
    """Return how many items a second come back from ``map``: of several, the one in the middle."""
    return median(_map_rate(face, n_items, chunksize) for _ in range(_N_MAPS))


def _map_rate(face: Face, n_items: int, chunksize: int | None) -> float:
    began = perf_counter()
    total = sum(face.map(increment, range(n_items), chunksize))
    elapsed = perf_counter() - began
    assert n_items * (n_items + 1) // 2 == total
    return n_items / elapsed


WORKLOAD = Workload(
    metrics=(
        Metric("map-default", "map of 20k items, chunks not named", "items/s", more_is_better=True),
        Metric("map-one", "map, chunksize=1", "items/s", more_is_better=True),
    ),
    measure=measure,
)
