"""
``map`` with chunks tuned by hand: the best that each pool can be brought to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.workloads.mapping import map_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender

_CHUNK_SIZES = (500, 2_500, 10_000, 50_000)
# A pool whose own choice is slower than this has chosen no chunks at all.
_LEAST_RATE = 150_000


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Try the pool's own choice if it has one, and several sizes of chunk."""
    n_items = 20_000 if quick else 200_000
    with contender.make(2) as face:
        face.warm_up()
        rates = [map_rate(face, n_items, chunksize) for chunksize in _CHUNK_SIZES]
        if map_rate(face, n_items // 50, None) > _LEAST_RATE:
            rates.append(map_rate(face, n_items, None))
            yield "map-long", rates[-1]
        yield "map-best", max(rates)


WORKLOAD = Workload(
    metrics=(
        Metric("map-long", "map of 200k items, chunks not named", "items/s", more_is_better=True),
        Metric("map-best", "map of 200k items, the best chunks", "items/s", more_is_better=True),
    ),
    measure=measure,
)
