"""
What a pool occupies while it has nothing to do: memory and processor.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import TYPE_CHECKING

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.session import processes_of
from tests.benchmarks.tasks import memory_of_worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Ask a worker for its memory, then leave the pool alone for a second."""
    with contender.make(2) as face:
        face.warm_up()
        yield "worker-memory", face.call(memory_of_worker) / (1 << 20)
        # The interpreter that measures leads its session, so whoever else is in it is the pool's.
        helpers = [pid for pid in processes_of(os.getsid(0)) if pid != os.getpid()]
        yield "pool-memory", sum(map(_unshared_nbytes, helpers)) / (1 << 20)
        before = sum(map(_cpu_time, helpers))
        own, began = process_time(), perf_counter()
        sleep(0.2 if quick else 1.0)
        # The program's own first: to look at the others takes time too.
        own, elapsed = process_time() - own, perf_counter() - began
        used = own + sum(map(_cpu_time, helpers)) - before
        yield "idle-cpu", 1e3 * used / elapsed


def _unshared_nbytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(
        1024 * int(kib) for kib in re.findall(r"^Private_\w+: *(\d+) kB", text, re.MULTILINE)
    )


def _cpu_time(pid: int) -> float:
    """Return the seconds of processor that all threads used: exact, where `times` has ticks."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


WORKLOAD = Workload(
    metrics=(
        Metric("worker-memory", "memory of a worker", "MiB"),
        Metric("pool-memory", "memory of all its processes, unshared", "MiB"),
        Metric("idle-cpu", "CPU time of an idle pool in a second", "ms"),
    ),
    measure=measure,
    by_start_method=True,
)
