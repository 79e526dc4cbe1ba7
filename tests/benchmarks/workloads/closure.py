"""
``map`` of a function that carries an array of 32 MiB along.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import give_array, pick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender
    from tests.benchmarks.face import Face

_NBYTES = 32 << 20
_N_TASKS = 200


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Map with the best of some chunk sizes, then with what the pool chooses by itself."""
    nbytes, n_tasks = (_NBYTES // 32, 40) if quick else (_NBYTES, _N_TASKS)
    with contender.make(2) as face:
        face.warm_up()
        list(face.map(give_array, [1] * 8, 1))  # The workers import numpy.
        best = min(_time(face, nbytes, n_tasks, n_tasks // n_chunks) for n_chunks in (2, 4, 8))
        # Before the long one: should that take too long, there is at least this.
        yield "closure-best", best
        default = _time(face, nbytes, n_tasks, None)
        yield "closure-default", default
        if default < best:
            yield "closure-best", default


def _time(face: Face, nbytes: int, n_tasks: int, chunksize: int | None) -> float:
    # A copy, so that no pool knows the array already.
    fn = partial(pick, give_array(nbytes).copy())
    began = perf_counter()
    total = sum(face.map(fn, range(n_tasks), chunksize))
    assert n_tasks == total
    return perf_counter() - began


WORKLOAD = Workload(
    metrics=(
        Metric("closure-default", "200 tasks with a 32 MiB array, chunks not named", "s"),
        Metric("closure-best", "200 tasks with a 32 MiB array, the best chunks", "s"),
    ),
    measure=measure,
    max_rounds=1,
    time_limit=90.0,
)
