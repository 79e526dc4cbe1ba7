"""
One call at a time: what the way to a worker and back takes.
"""

from __future__ import annotations

import os
import pickle
import socket
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contender import Contender


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Call one worker, and wait for each result before the next call."""
    with contender.make(1) as face:
        face.warm_up(1)
        submit, wait = face.submit, face.wait
        yield from _time_trips(lambda: wait(submit(nothing)), quick)


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Do it with a socket and pickle: no futures, no threads, no errors."""
    near, far = socket.socketpair()
    pid = os.fork()
    if not pid:
        near.close()
        _answer(far)
    far.close()

    def trip() -> None:
        near.sendall(pickle.dumps((nothing, ())))
        pickle.loads(near.recv(4096))

    yield from _time_trips(trip, quick)
    near.close()
    os.waitpid(pid, 0)


def _answer(far: socket.socket) -> None:
    while data := far.recv(4096):
        fn, args = pickle.loads(data)
        far.sendall(pickle.dumps(fn(*args)))
    os._exit(0)


def _time_trips(trip: Callable[[], object], quick: bool) -> Iterator[tuple[str, float]]:
    n_trips = 300 if quick else 3_000
    times = []
    for _ in range(n_trips // 10 + n_trips):
        began = perf_counter()
        trip()
        times.append(perf_counter() - began)
    # The first tenth warms up.
    times = times[n_trips // 10 :]
    yield "rtt-p50", 1e6 * median(times)
    yield "rtt-p99", 1e6 * quantiles(times, n=100)[-1]


WORKLOAD = Workload(
    metrics=(
        Metric("rtt-p50", "round trip, 1 worker, p50", "µs"),
        Metric("rtt-p99", "round trip, 1 worker, p99", "µs"),
    ),
    measure=measure,
    limit=limit,
    needs="submit",
)
