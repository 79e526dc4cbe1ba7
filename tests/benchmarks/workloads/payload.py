"""
Small and middling payloads: bytes as argument and as result.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import give, touch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contender import Contender

_SIZES = {"1k": (1 << 10, 1_500), "64k": (1 << 16, 400)}
"""How many bytes, and how often."""


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Send bytes to one worker, and have it send some; one call at a time."""
    with contender.make(1) as face:
        face.warm_up(1)
        submit, wait = face.submit, face.wait
        for name, (nbytes, n_trips) in _SIZES.items():
            payload = give(nbytes)
            n_trips = n_trips // 10 if quick else n_trips
            seconds = _time(n_trips, lambda data: wait(submit(touch, data)), payload)
            yield f"bytes-{name}-in", nbytes / seconds / 1e6
            seconds = _time(n_trips, lambda nbytes: touch(wait(submit(give, nbytes))), nbytes)
            yield f"bytes-{name}-out", nbytes / seconds / 1e6


def _time(n_trips: int, trip: Callable[[Any], object], value: Any) -> float:
    for _ in range(n_trips // 10):
        trip(value)
    began = perf_counter()
    for _ in range(n_trips):
        trip(value)
    return (perf_counter() - began) / n_trips


WORKLOAD = Workload(
    metrics=tuple(
        Metric(f"bytes-{name}-{way}", f"bytes, {title}, {way}", "MB/s", more_is_better=True)
        for name, title in (("1k", "1 KiB"), ("64k", "64 KiB"))
        for way in ("in", "out")
    ),
    measure=measure,
    needs="submit",
)
