"""
Calls that raise: an exception from under three frames, and one with another as its cause.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import fail, fail_twice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contender import Contender
    from tests.benchmarks.face import Face


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Submit all, then catch the exception of each."""
    n_tasks = 200 if quick else 1_000
    with contender.make(2) as face:
        face.warm_up()
        for key, fn in (("raise", fail), ("raise-chained", fail_twice)):
            _catch_all(face, fn, 20)
            began = perf_counter()
            _catch_all(face, fn, n_tasks)
            yield key, n_tasks / (perf_counter() - began)


def _catch_all(face: Face, fn: Callable[..., Any], n_tasks: int) -> None:
    n_caught = 0
    for handle in [face.submit(fn, 3) for _ in range(n_tasks)]:
        try:
            face.wait(handle)
        except (ValueError, KeyError):
            n_caught += 1
    assert n_tasks == n_caught


WORKLOAD = Workload(
    metrics=(
        Metric("raise", "tasks that raise, three frames deep", "tasks/s", more_is_better=True),
        Metric("raise-chained", "the same, raised from another", "tasks/s", more_is_better=True),
    ),
    measure=measure,
    needs="submit",
)
