"""
Tasks of one millisecond: how much of the processors' time is left for them.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import spin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender

_DURATION = 0.001
_N_WORKERS = 2


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Give tasks to as many workers as the ideal has, by ``map`` and by ``submit``."""
    n_tasks = 100 if quick else 800
    ideal = n_tasks * _DURATION / _N_WORKERS
    with contender.make(_N_WORKERS) as face:
        face.warm_up(_N_WORKERS)
        list(face.map(spin, [_DURATION] * 20, None))
        began = perf_counter()
        list(face.map(spin, [_DURATION] * n_tasks, None))
        yield "millisecond-map", 100 * ideal / (perf_counter() - began)
        face.wait_for_all([face.submit(spin, _DURATION) for _ in range(20)])
        began = perf_counter()
        face.wait_for_all([face.submit(spin, _DURATION) for _ in range(n_tasks)])
        yield "millisecond-submit", 100 * ideal / (perf_counter() - began)


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Take the ideal, which a machine with other work to do cannot reach."""
    yield "millisecond-map", 100.0
    yield "millisecond-submit", 100.0


WORKLOAD = Workload(
    metrics=(
        Metric("millisecond-map", "1 ms tasks by map, share of ideal", "%", more_is_better=True),
        Metric("millisecond-submit", "1 ms tasks by submit, share of ideal", "%", True),
    ),
    measure=measure,
    limit=limit,
)
