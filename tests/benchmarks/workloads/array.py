"""
Large payloads: numpy arrays to a worker, from it, and there and back. Every page is looked at.
"""

from __future__ import annotations

import gc
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import give_array, send_back, touch_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contender import Contender

_MIB = 1 << 20
_SIZES = {1: 100, 16: 20, 128: 5}
"""How many MiB, and how often; the trip in the middle counts, for the first ones are told apart."""


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Move arrays one at a time: megabytes a second, both ways counted."""
    with contender.make(1) as face:
        face.warm_up(1)
        submit, wait = face.submit, face.wait
        wait(submit(give_array, 1))  # The worker imports numpy.
        for n_mib, n_trips in _sizes(quick):
            nbytes = n_mib * _MIB
            array = give_array(nbytes)
            ways: dict[str, Callable[[Any], object]] = {
                "in": lambda array: wait(submit(touch_pages, array)),
                "out": lambda array: touch_pages(wait(submit(give_array, array.nbytes))),
                "inout": lambda array: touch_pages(wait(submit(send_back, array))),
            }
            for way, do in ways.items():
                trip = partial(do, array)
                first = _seconds(trip)
                if n_mib == 128 and way == "in":
                    yield "array-128-cold", nbytes / first / 1e6
                moved = 2 * nbytes if way == "inout" else nbytes
                yield f"array-{n_mib}-{way}", moved / _median_seconds(trip, n_trips) / 1e6


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Copy arrays within memory that has been used before, and into memory that has not."""
    import numpy

    for n_mib, n_trips in _sizes(quick):
        source = give_array(n_mib * _MIB)
        target = numpy.ones_like(source)
        copy = partial(numpy.copyto, target, source)
        rate = source.nbytes / _median_seconds(copy, 5 * n_trips) / 1e6
        for way in ("in", "out", "inout"):
            yield f"array-{n_mib}-{way}", rate
        if n_mib == 128:
            yield "array-128-cold", source.nbytes / _seconds(source.copy) / 1e6


def _sizes(quick: bool) -> Iterator[tuple[int, int]]:
    for n_mib, n_trips in _SIZES.items():
        if not quick or n_mib < 128:
            yield n_mib, n_trips // 10 if quick else n_trips


def _median_seconds(trip: Callable[[], object], n_trips: int) -> float:
    gc.collect()
    return median(_seconds(trip) for _ in range(n_trips))


def _seconds(trip: Callable[[], object]) -> float:
    began = perf_counter()
    trip()
    return perf_counter() - began


WORKLOAD = Workload(
    metrics=(
        *(
            Metric(
                f"array-{n_mib}-{way}", f"array, {n_mib} MiB, {way}", "MB/s", more_is_better=True
            )
            for n_mib in _SIZES
            for way in ("in", "out", "inout")
        ),
        Metric("array-128-cold", "array, 128 MiB, in, the first ever", "MB/s", more_is_better=True),
    ),
    measure=measure,
    limit=limit,
    needs="submit",
)
