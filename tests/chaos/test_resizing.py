"""
A pool whose size, workers and priorities change under its tasks, while some workers are killed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from concurrent.futures import wait
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.work import grow
from webworker_executor import WebWorkerExecutor, WorkerCrashedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor import WorkerFuture
    from webworker_executor.web.launchers import LauncherName

pytestmark = pytest.mark.slow

MIB = 1 << 20
SECONDS = 2.5


def grow_and_return(number: int, nbytes: int) -> int:
    """Keep memory in this worker, and return the number."""
    grow(nbytes)
    return number


class Disturber:
    """Does something again and again in a thread of its own, until it is left."""

    def __init__(self, do: Callable[[random.Random], object], pause: float) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(do, pause))

    def _run(self, do: Callable[[random.Random], object], pause: float) -> None:
        chance = random.Random(7)
        while not self._stop.wait(pause * chance.random()):
            do(chance)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_nothing_is_lost_while_everything_changes(launcher: LauncherName) -> None:
    """
    Each task has its result, or was cancelled, or failed with its worker; and none is left.
    """
    with WebWorkerExecutor(
        3,
        launcher=launcher,
        idle_timeout=0.05,
        min_workers=1,
        max_memory_per_child=300 * MIB,
        max_pending=200,
    ) as pool:

        def resize(chance: random.Random) -> None:
            pool.resize(chance.randint(1, 5))

        n_started = 0

        def kill(chance: random.Random) -> None:
            nonlocal n_started
            # A pool of which no worker comes up any more, on a slow machine, gives up, and should.
            n_before, n_started = n_started, pool.statistics().n_workers_started
            if n_started == n_before:
                return
            pids = [worker.pid for worker in pool.workers if worker.pid is not None]
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(pids or [0x7FFFFFFF]), signal.SIGKILL)

        with Disturber(resize, 0.1), Disturber(kill, 0.6):
            futures = submit_for(SECONDS, pool)
        assert set() == wait(futures, 60.0).not_done
        assert 10 < len(futures)
        for number, future in enumerate(futures):
            if future.cancelled():
                continue
            error = future.exception(0)
            # A place may go between the look and the task.
            assert error is None or isinstance(error, (WorkerCrashedError, ValueError))
            assert error is not None or number == future.result(0)
        counts = pool.statistics()
        assert (0, 0) == (counts.n_pending, counts.n_running)


def submit_for(seconds: float, pool: WebWorkerExecutor) -> list[WorkerFuture[Any]]:
    """Submit tasks of all kinds for so long."""
    chance, end = random.Random(3), monotonic() + seconds
    futures: list[WorkerFuture[Any]] = []
    while monotonic() < end:
        submit = pool.submit
        if chance.random() < 0.1:
            submit = pool.options(priority=chance.randint(-2, 3)).submit
        elif chance.random() < 0.05:
            with contextlib.suppress(ValueError):
                submit = pool.options(worker=chance.randrange(5), priority=1).submit
        nbytes = 60 * MIB if chance.random() < 0.01 else 0
        future = submit(grow_and_return, len(futures), nbytes)
        if chance.random() < 0.02:
            future.cancel()
        futures.append(future)
    return futures
