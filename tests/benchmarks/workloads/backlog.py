"""
Many pending tasks: what each costs in time and in memory, and whether that grows with their number.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.metric import Metric, Workload
from tests.benchmarks.tasks import memory_of_worker, nothing
from tests.dropin.gate import Gate, pass_gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contender import Contender
    from tests.benchmarks.face import Face

_STEPS = {1_000: "1k", 10_000: "10k", 100_000: "100k", 300_000: "300k"}
_TIMED = (1_000, 10_000, 300_000)


def measure(contender: Contender, quick: bool) -> Iterator[tuple[str, float]]:
    """Submit while all workers are held up, let them go, and wait for every result."""
    most = 10_000 if quick else 300_000
    times: dict[int, float] = {}
    with contender.make(2) as face:
        face.warm_up()
        # The long one first: what memory it takes shows only in a heap that was not as large yet.
        yield from _grow(face, most, times)
        for n_tasks in [number for number in _TIMED if number < most]:
            with _held(face) as gate:
                began = perf_counter()
                handles = [face.submit(nothing) for _ in range(n_tasks)]
                gate.open()
                face.wait_for_all(handles)
                times[n_tasks] = 1e6 * (perf_counter() - began) / n_tasks
            yield f"growth-time-{_STEPS[n_tasks]}", times[n_tasks]
    if most == 300_000:
        yield "growth-flat", times[most] / times[10_000]


def _grow(face: Face, most: int, times: dict[int, float]) -> Iterator[tuple[str, float]]:
    with _held(face) as gate:
        gc.collect()
        # The function reads what the process that calls it occupies: here, the program itself.
        base = memory_of_worker()
        handles: list[Any] = []
        began = perf_counter()
        for n_tasks in [number for number in _STEPS if number <= most]:
            while len(handles) < n_tasks:
                handles.append(face.submit(nothing))
            yield f"growth-memory-{_STEPS[n_tasks]}", (memory_of_worker() - base) / n_tasks
        gate.open()
        face.wait_for_all(handles)
        times[most] = 1e6 * (perf_counter() - began) / most
    yield f"growth-time-{_STEPS[most]}", times[most]


@contextmanager
def _held(face: Face) -> Iterator[Gate]:
    """Keep both workers busy until the gate is opened."""
    with TemporaryDirectory() as folder:
        gate = Gate(Path(folder))
        holders = [face.submit(pass_gate, gate.path, None) for _ in range(2)]
        try:
            # A pool that deals tasks out in turn may have given both to one worker.
            gate.wait_for_begun(2, timeout=2.0)
            yield gate
        finally:
            gate.open()
            face.wait_for_all(holders)
            gate.close()


WORKLOAD = Workload(
    metrics=(
        *(
            Metric(f"growth-time-{_STEPS[n]}", f"{_STEPS[n]} pending tasks, time of each", "µs")
            for n in _TIMED
        ),
        Metric("growth-flat", "time of each of 300k, over that of 10k", "times"),
        *(
            Metric(f"growth-memory-{name}", f"{name} pending tasks, memory of each", "bytes")
            for name in _STEPS.values()
        ),
    ),
    measure=measure,
    needs="submit",
    max_rounds=1,
    time_limit=90.0,
)
