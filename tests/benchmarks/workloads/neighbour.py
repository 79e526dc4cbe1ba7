"""
Short tasks beside a long one: whether they wait for it while the other worker could run them.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import nap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender

_SHORT = 0.003


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Submit one long task and many short ones to two workers; time the short ones."""
    n_tasks = 40 if quick else 100
    ideal = _time_alone(n_tasks)
    with contender.make(2) as face:
        face.warm_up()
        # A pool that sends tasks ahead has learnt by now that they are short.
        face.wait_for_all([face.submit(nap, _SHORT) for _ in range(50)])
        began = perf_counter()
        long_one = face.submit(nap, 2 * ideal)
        face.wait_for_all([face.submit(nap, _SHORT) for _ in range(n_tasks)])
        elapsed = perf_counter() - began
        face.wait(long_one)
        yield "neighbour", elapsed / ideal


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Take the ideal: the other worker does nothing but the short tasks."""
    yield "neighbour", 1.0


def _time_alone(n_tasks: int) -> float:
    began = perf_counter()
    for _ in range(n_tasks):
        nap(_SHORT)
    return perf_counter() - began


WORKLOAD = Workload(
    metrics=(Metric("neighbour", "short tasks beside a long one, over the ideal", "times"),),
    measure=measure,
    limit=limit,
    needs="submit",
)
