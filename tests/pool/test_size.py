"""
The size of a pool: what it may be, idle workers, and a size that changes.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.link.interrupts import broken_off
from tests.patience import wait_until
from tests.pool import talking
from tests.pool.work import double
from webworker_executor import ActorLostError, WebWorkerExecutor

if TYPE_CHECKING:
    from webworker_executor.web.launchers import LauncherName

# Shorter than any test waits, longer than a test takes to look.
SOON = 0.2


def n_workers(pool: WebWorkerExecutor) -> int:
    """Count the processes that are there."""
    return len(pool._pool.crew.processes)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_tasks_per_child": "9"}, TypeError, "^max_tasks_per_child must be an integer$"),
        ({"max_tasks_per_child": 0}, ValueError, "^max_tasks_per_child must be >= 1$"),
        ({"max_memory_per_child": 1.5}, TypeError, "^max_memory_per_child must be an integer$"),
        ({"max_memory_per_child": 0}, ValueError, "^max_memory_per_child must be >= 1$"),
        ({"memory_limit": -1}, ValueError, "^memory_limit must be >= 1$"),
        ({"idle_timeout": 0}, ValueError, "idle_timeout must be more than 0 seconds"),
        ({"idle_timeout": 1, "min_workers": 3}, ValueError, r"at most max_workers \(2\), not 3"),
        ({"idle_timeout": 1, "min_workers": -1}, ValueError, "min_workers must be 0 or more"),
        ({"idle_timeout": 1, "min_workers": 1.5}, TypeError, "integer"),
        ({"min_workers": 1}, ValueError, "only together with idle_timeout"),
    ],
)
def test_what_a_size_cannot_be(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """
    It is refused when it is named, in the standard library's words where it has some.
    """
    with pytest.raises(error, match=text):
        WebWorkerExecutor(2, **options)


# -- idle workers


def test_idle_workers_leave_and_come_back(launcher: LauncherName) -> None:
    """
    All of them, and a task brings one back.
    """
    with WebWorkerExecutor(2, launcher=launcher, idle_timeout=SOON) as pool:
        pids = set(pool.run_on_all(talking.pid))
        assert 2 == len(pids)
        wait_until(lambda: not n_workers(pool))
        assert pool.submit(talking.pid).result(20.0) not in pids


def test_so_many_stay() -> None:
    """
    However idle they are.
    """
    with WebWorkerExecutor(3, launcher="fork", idle_timeout=SOON, min_workers=1) as pool:
        pids = pool.run_on_all(talking.pid)
        wait_until(lambda: n_workers(pool) == 1)
        threading.Event().wait(2 * SOON)  # that none leaves cannot be waited for otherwise
        assert pool.submit(talking.pid).result(10.0) in pids


def test_a_busy_worker_does_not_leave(gate: Gate) -> None:
    """
    Its time begins when its task is done.
    """
    with WebWorkerExecutor(2, launcher="fork", idle_timeout=SOON) as pool:
        future = pool.submit(pass_gate, gate.path, "through")
        gate.wait_for_begun(1)
        wait_until(lambda: n_workers(pool) == 1)
        opened_at = time.monotonic()
        gate.open()
        assert "through" == future.result(10.0)
        wait_until(lambda: not n_workers(pool))
        assert time.monotonic() - opened_at >= SOON


def test_an_actor_keeps_its_worker() -> None:
    """
    Until it is dropped.
    """
    with WebWorkerExecutor(2, launcher="fork", idle_timeout=SOON) as pool:
        actor = pool.actor(talking.Counter, 5)
        pool.run_on_all(talking.pid)
        wait_until(lambda: n_workers(pool) == 1)
        assert 6 == actor.add().result(10.0)
        del actor
        wait_until(lambda: not n_workers(pool))


# -- a size that changes


def test_a_larger_pool_is_used_at_once(launcher: LauncherName, gate: Gate) -> None:
    """
    By what waits.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        futures = [pool.submit(pass_gate, gate.path, number) for number in range(3)]
        gate.wait_for_begun(1)
        pool.resize(3)
        assert 3 == pool.size == len(pool.workers)
        assert 3 == len(set(gate.wait_for_begun(3, timeout=20.0)))
        gate.open()
        assert [0, 1, 2] == [future.result(10.0) for future in futures]


def test_a_smaller_pool_finishes_what_runs(launcher: LauncherName, gate: Gate) -> None:
    """
    Then so many workers are left, and nothing is lost.
    """
    with WebWorkerExecutor(3, launcher=launcher) as pool:
        futures = [pool.submit(pass_gate, gate.path, number) for number in range(9)]
        gate.wait_for_begun(3, timeout=20.0)
        pool.resize(1)
        assert 1 == pool.size == len(pool.workers)
        gate.open()
        assert list(range(9)) == [future.result(10.0) for future in futures]
        wait_until(lambda: n_workers(pool) == 1)
        assert 4 == pool.submit(double, 2).result(10.0)


def test_a_pool_that_has_run_nothing_is_resized(forked: WebWorkerExecutor) -> None:
    """
    Nothing is started for it.
    """
    forked.resize(2)
    assert 0 == n_workers(forked)
    assert 2 == len(set(forked.run_on_all(talking.pid)))


def test_more_places_than_were_thought_of(gate: Gate) -> None:
    """
    What a dead worker was running is known in each of them.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        assert 2 == pool.submit(double, 1).result(10.0)
        pool.resize(70)
        pool.run_on_all(talking.pid)
        assert 70 == n_workers(pool)
        begun = [process.begun() for process in pool._pool.crew.processes.values()]
        assert None not in begun


def test_what_is_pinned_to_a_place_that_goes(gate: Gate) -> None:
    """
    What was submitted runs; what is submitted later is refused; an actor is lost.
    """
    with WebWorkerExecutor(2, launcher="fork") as pool:
        pinned = pool.options(worker=1)
        actors = [pool.actor(talking.Counter, number) for number in range(2)]
        channel = pool.workers[1]
        futures = [pinned.submit(pass_gate, gate.path, number) for number in range(3)]
        gate.wait_for_begun(1)
        pool.resize(1)
        gate.open()
        assert [0, 1, 2] == [future.result(10.0) for future in futures]
        with pytest.raises(ValueError, match="no worker 1 any more"):
            pinned.submit(double, 1).result(10.0)
        with pytest.raises(ValueError, match="no worker 1 any more"):
            channel.post_message("hello")
        with pytest.raises(ValueError, match="there is no worker 1"):
            pool.options(worker=1)
        assert 1 == actors[0].add().result(10.0)
        with pytest.raises((ActorLostError, ValueError)):
            actors[1].add().result(10.0)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_a_resize_that_is_broken_off(count: int) -> None:
    """
    Wherever a signal handler raises, there are as many workers as the executor says.
    """
    with WebWorkerExecutor(2, launcher="fork") as pool:
        actor = pool.actor(talking.Counter, 0)
        for _ in broken_off(lambda: pool.resize(count)):
            # It is taken after whatever is left of that.
            pool.submit(double, 1).result(10.0)
            assert pool.size in {2, count}
            assert pool.size == len(pool.workers) == len(pool.run_on_all(talking.pid))
            del actor
            actor = pool.actor(talking.Counter, 1)
            assert 2 == actor.add().result(10.0)
            pool.resize(2)


def test_a_size_is_refused_that_is_none() -> None:
    """
    Nothing has changed then.
    """
    with WebWorkerExecutor(2, idle_timeout=9.0, min_workers=2) as pool:
        for wrong in (0, -1, 1):
            with pytest.raises(ValueError, match="max_workers must be"):
                pool.resize(wrong)
        with pytest.raises(TypeError):
            pool.resize(1.5)  # type: ignore[arg-type]  # that is what is tested
        assert 2 == pool.size
    with pytest.raises(RuntimeError, match="the executor was shut down; there are no workers"):
        pool.resize(3)
