"""
What it takes to have workers at all, and to be rid of them.
"""

from __future__ import annotations

import os
import sys
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Make a pool of two workers and wait for one result; twice, in a fresh interpreter."""
    began = perf_counter()
    contender.load()
    imported = perf_counter()
    face = contender.make(2)
    face.call(nothing)
    done = perf_counter()
    yield "start-first", 1e3 * (done - imported)
    yield "start-import", 1e3 * (done - began)
    began = perf_counter()
    face.close()
    yield "start-close", 1e3 * (perf_counter() - began)
    began = perf_counter()
    with contender.make(2) as face:
        face.call(nothing)
        yield "start-second", 1e3 * (perf_counter() - began)


def limit(quick: bool) -> Iterator[tuple[str, float]]:
    """Start an interpreter that does nothing."""
    times = []
    for _ in range(5):
        began = perf_counter()
        command = [sys.executable, "-c", "pass"]
        os.waitpid(os.posix_spawn(sys.executable, command, os.environ), 0)
        times.append(perf_counter() - began)
    yield "start-first", 1e3 * median(times)


WORKLOAD = Workload(
    metrics=(
        Metric("start-first", "first result of a new pool", "ms"),
        Metric("start-import", "the same, with the import of the pool", "ms"),
        Metric("start-second", "first result of a second pool", "ms"),
        Metric("start-close", "close", "ms"),
    ),
    measure=measure,
    limit=limit,
    by_start_method=True,
    n_repeats=3,
)
