"""
Large buffers on their way when somebody dies: nothing is mixed up, and nothing is left.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool import large
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.link.memory import store

if TYPE_CHECKING:
    from concurrent.futures import Future

pytestmark = pytest.mark.slow


def test_workers_are_killed_with_buffers_in_flight() -> None:
    """
    Sixty times at a random moment: each result is whole or the task's worker died, and at the end
    no segment is in use.
    """
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    with WebWorkerExecutor(2, launcher="fork") as pool:
        for _ in range(60):
            blocks = [large.block(chance.randrange(256)) for _ in range(8)]
            futures: list[Future[Any]] = [pool.submit(large.same, block) for block in blocks]
            victim = pool.workers[chance.randrange(2)].pid
            timer = threading.Timer(chance.random() * 0.01, kill, (victim,))
            timer.start()
            for block, future in zip(blocks, futures, strict=True):
                try:
                    assert block == future.result(30.0), f"seed {seed}"
                except WorkerCrashedError:
                    continue
            timer.join()
            del futures, future
        for _ in range(4):
            pool.submit(large.same, large.block(1)).result(30.0)
        assert len(store._kept.segments) <= 32
    assert 0 == sum(map(len, store._kept.buckets.values()))


def kill(pid: int | None) -> None:
    if pid is not None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def test_a_host_that_is_killed_leaves_no_memory() -> None:
    """
    The memory of a host that dies with everything in flight is free as soon as its workers are
    gone, and they go at once.
    """
    program = """
        import os, sys
        from tests.pool import large
        from webworker_executor import WebWorkerExecutor
        pool = WebWorkerExecutor(2)
        pids = [pool.submit(os.getpid).result() for _ in range(10)]
        futures = [pool.submit(large.same, large.block(n)) for n in range(100)]
        futures[0].result()
        print(*sorted(set(pids)), flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=os.getcwd(),
    )
    assert -signal.SIGKILL == done.returncode, done.stderr
    for pid in map(int, done.stdout.split()):
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            signal.pidfd_send_signal(fd, 0)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)
