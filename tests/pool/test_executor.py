"""
The executor's face: what programs see of it, with real workers.
"""

from __future__ import annotations

import gc
import os
import pickle
import weakref
from concurrent.futures import CancelledError, Executor
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import pass_gate
from tests.pool import work
from webworker_executor import BrokenWorkerPool, PortClosedError, WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dropin.gate import Gate
    from webworker_executor import MessageEvent
    from webworker_executor.web.launchers import LauncherName


def test_nothing_is_started_before_the_first_task(launcher: LauncherName) -> None:
    """
    An executor that is never used has no thread, no process and no descriptor.
    """
    before = os.listdir("/proc/self/fd")
    pool = WebWorkerExecutor(2, launcher=launcher)
    assert isinstance(pool, Executor)
    assert {} == pool._processes
    assert before == os.listdir("/proc/self/fd")
    pool.shutdown()


def test_the_size_is_told() -> None:
    """
    Programs ask for it under several names.
    """
    pool = WebWorkerExecutor(3)
    assert (3, 3, 3) == (pool.size, pool._max_workers, len(pool.workers))
    pool.shutdown()


def test_a_repr_tells_the_state(gate: Gate) -> None:
    """
    Name, state, workers and tasks.
    """
    with WebWorkerExecutor(2, launcher="fork", name="resize") as pool:
        assert "<WebWorkerExecutor 'resize' open workers=0/2 tasks=0>" == repr(pool)
        pool.submit(pass_gate, gate.path, 1)
        gate.wait_for_begun(1)
        assert "<WebWorkerExecutor 'resize' open workers=2/2 tasks=1>" == repr(pool)
        gate.open()
    assert "<WebWorkerExecutor 'resize' shut down workers=0/2 tasks=0>" == repr(pool)


def test_an_executor_cannot_be_pickled() -> None:
    """
    The error says what to do instead.
    """
    pool = WebWorkerExecutor(1)
    with pytest.raises(TypeError, match="A task that needs workers of its own can make its own"):
        pickle.dumps(pool)
    pool.shutdown()


def test_submit_steals_no_keyword(forked: WebWorkerExecutor) -> None:
    """
    All of them are the function's.
    """
    arguments = {"fn": 1, "self": 2, "timeout": 3, "args": 4}
    assert arguments == forked.submit(dict, **arguments).result(10.0)


def test_submit_after_shutdown_is_refused(launcher: LauncherName) -> None:
    """
    In the standard library's words, also where no worker was ever started.
    """
    pool = WebWorkerExecutor(1, launcher=launcher)
    pool.shutdown()
    pool.shutdown()
    for attempt in (lambda: pool.submit(abs, 1), lambda: pool.map(abs, [1])):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            attempt()


def test_what_is_no_submit_is_refused_in_words_of_its_own(pool: WebWorkerExecutor) -> None:
    """
    After a shutdown a message or a resize hears of that, and not of futures.
    """
    worker = pool.workers[0]
    pool.shutdown()
    posts: list[Callable[[int], None]] = [worker.post_message, pool.broadcast]
    for post in posts:
        with pytest.raises(RuntimeError, match="shut down; worker 0 takes no messages any more"):
            post(1)
    with pytest.raises(RuntimeError, match="shut down; there are no workers any more to be made"):
        pool.resize(3)


def test_shutdown_finishes_what_was_submitted(pool: WebWorkerExecutor) -> None:
    """
    Nothing that was taken is dropped.
    """
    futures = [pool.submit(work.double, number) for number in range(50)]
    pool.shutdown()
    assert [2 * number for number in range(50)] == [future.result(0) for future in futures]
    assert pool._processes is None


def test_shutdown_without_waiting_returns_at_once(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    The workers leave later.
    """
    future = pool.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    pool.shutdown(wait=False)
    assert future.running()
    gate.open()
    assert 1 == future.result(10.0)


def test_shutdown_cancels_what_waits(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    What runs is finished, the rest is cancelled.
    """
    running = forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    waiting = [forked.submit(work.double, number) for number in range(5)]
    forked.shutdown(wait=False, cancel_futures=True)
    gate.open()
    assert 1 == running.result(10.0)
    for future in waiting:
        with pytest.raises(CancelledError):
            future.result(10.0)


@pytest.mark.parametrize("method", ["terminate_workers", "kill_workers"])
def test_workers_can_be_ended_by_force(pool: WebWorkerExecutor, gate: Gate, method: str) -> None:
    """
    What runs fails with the reason, and the executor is shut down.
    """
    future = pool.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    getattr(pool, method)()
    with pytest.raises(BrokenWorkerPool, match="ended by terminate_workers"):
        future.result(10.0)
    with pytest.raises(RuntimeError):
        pool.submit(abs, 1)


def test_processes_are_listed_by_pid(pool: WebWorkerExecutor) -> None:
    """
    Programs look into ``_processes`` for pids.
    """
    pids = {pool.submit(os.getpid).result(10.0) for _ in range(10)}
    processes = pool._processes
    assert processes is not None
    assert pids <= set(processes)
    assert pids <= {worker.pid for worker in pool.workers}
    assert all(process.pid == pid for pid, process in processes.items())


def test_private_names_of_the_standard_library_are_there(forked: WebWorkerExecutor) -> None:
    """
    Those that programs are known to touch.
    """
    forked.submit(abs, 1).result(10.0)
    assert forked._broken is False
    assert not forked._shutdown_thread
    assert {} == forked._pending_work_items
    manager = forked._executor_manager_thread
    forked.shutdown(wait=False)
    assert manager is not None
    manager.join()
    assert forked._executor_manager_thread is None


def test_workers_have_their_surroundings(launcher: LauncherName) -> None:
    """
    A name, an index, a copy of the data, and variables of their own.
    """
    data = {"list": [1, 2]}
    with WebWorkerExecutor(
        1, launcher=launcher, name="named", worker_data=data, env={"WEBWORKER_TEST": "yes"}
    ) as pool:
        assert (True, 0, "named", data) == pool.submit(work.surroundings).result(10.0)
        assert "yes" == pool.submit(work.environment, "WEBWORKER_TEST").result(10.0)
    assert "WEBWORKER_TEST" not in os.environ


def test_large_data_of_a_worker_can_be_changed(launcher: LauncherName) -> None:
    """
    As what is small, and as an argument.
    """
    array = pytest.importorskip("numpy").zeros(100_000)
    with WebWorkerExecutor(1, launcher=launcher, worker_data=array) as pool:
        assert pool.submit(work.is_writeable_data).result(10.0)


def test_the_initializer_runs_before_the_first_task(launcher: LauncherName) -> None:
    """
    In each worker, with its arguments.
    """
    with WebWorkerExecutor(1, launcher=launcher, initializer=work.keep, initargs=(1, "a")) as pool:
        assert [1, "a"] == pool.submit(work.kept).result(10.0)


def test_workers_are_replaced_after_so_many_tasks() -> None:
    """
    Counts and results are exact.
    """
    with WebWorkerExecutor(1, max_tasks_per_child=2, launcher="fork") as pool:
        pids = [pool.submit(os.getpid).result(10.0) for _ in range(6)]
    assert [2, 2, 2] == [pids.count(pid) for pid in dict.fromkeys(pids)]


def test_a_message_is_answered(pool: WebWorkerExecutor) -> None:
    """
    Posted by the host, handled between tasks, received back.
    """
    for worker in pool.workers:
        worker.post_message("starts the worker")
    for _ in range(4):
        pool.submit(work.answer_messages).result(10.0)
    worker = pool.workers[pool.submit(work.surroundings).result(10.0)[1] or 0]
    assert ["starts the worker"] * 2 == worker.receive(10.0).data
    worker.post_message({"key": 1})
    event = worker.receive(10.0)
    assert ("message", [{"key": 1}] * 2, worker) == (event.type, event.data, event.source)


def test_a_handler_gets_what_came_before_it(forked: WebWorkerExecutor) -> None:
    """
    In order, on the events thread; ``receive`` is refused meanwhile.
    """
    forked.submit(work.post, 1, 2).result(10.0)
    seen: list[object] = []
    worker = forked.workers[0]

    def handle(event: MessageEvent) -> None:
        seen.append(event.data)

    worker.onmessage = handle
    forked.submit(work.post, 3).result(10.0)
    with pytest.raises(RuntimeError, match="either listen, or receive"):
        worker.receive(0)
    forked.shutdown()
    assert [1, 2, 3] == seen


def test_receiving_ends_with_the_executor(forked: WebWorkerExecutor) -> None:
    """
    What was left is received first.
    """
    forked.submit(work.post, "last").result(10.0)
    worker = forked.workers[0]
    assert "last" == worker.receive(10.0).data
    with pytest.raises(TimeoutError, match="no message came to <PoolWorker 0"):
        worker.receive(0.01)
    forked.shutdown()
    with pytest.raises(PortClosedError, match="worker 0 has ended and left no message"):
        worker.receive(10.0)


def test_an_executor_that_is_dropped_finishes_its_work(gate: Gate) -> None:
    """
    Collected with a task pending, the task is finished and the workers leave.
    """
    pool = WebWorkerExecutor(1, launcher="fork")
    future = pool.submit(pass_gate, gate.path, 1)
    reference = weakref.ref(pool)
    del pool
    gc.collect()
    assert reference() is None
    gate.open()
    assert 1 == future.result(10.0)


def test_executors_live_side_by_side(launcher: LauncherName) -> None:
    """
    Each has its own workers; the end of one is nothing to the other.
    """
    with WebWorkerExecutor(1, launcher=launcher) as first:
        with WebWorkerExecutor(1, launcher=launcher) as second:
            pids = {pool.submit(os.getpid).result(10.0) for pool in (first, second)}
            assert 2 == len(pids)
        assert first.submit(os.getpid).result(10.0) in pids


def test_arguments_are_copied_when_submitted(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    What is changed afterwards does not change the task.
    """
    forked.submit(pass_gate, gate.path, 1)
    numbers = [1, 2]
    future = forked.submit(sum, numbers)
    numbers.append(100)
    gate.open()
    assert 3 == future.result(10.0)


def test_functions_without_a_module_go_by_value(pool: WebWorkerExecutor) -> None:
    """
    Lambdas and closures are tasks like others.
    """
    factor = 7
    assert [0, 7, 14] == list(pool.map(lambda number: factor * number, range(3)))


def test_wrong_arguments_are_those_of_the_executor() -> None:
    """
    A `TypeError` names the class that the program knows.
    """
    executor: Any = WebWorkerExecutor(1)
    with pytest.raises(TypeError, match=r"WebWorkerExecutor\.shutdown\(\) got an unexpected"):
        executor.shutdown(now=True)
    with pytest.raises(TypeError, match=r"WebWorkerExecutor\.options\(\) got an unexpected"):
        executor.options(nice=1)
