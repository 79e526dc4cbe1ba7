"""`shutdown`, the `with` block, and being dropped or forked keep the stdlib's contract."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import threading
import weakref
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.dropin.tasks import double
from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor import WebWorkerExecutor as Pool
    from webworker_executor.web.launchers import LauncherName


def test_a_block_hides_no_exception() -> None:
    """`__exit__` says so, to whoever calls it by hand."""
    assert WebWorkerExecutor(1).__exit__(None, None, None) is False


def test_nothing_is_taken_after_it(pool: Pool) -> None:
    """A closed executor refuses in the stdlib's words, however often it is closed."""
    pool.submit(double, 1).result()
    pool.shutdown()
    pool.shutdown()
    with pytest.raises(RuntimeError, match=r"^cannot schedule new futures after shutdown$"):
        pool.submit(double, 1)


def test_it_waits_for_everything(launcher: LauncherName) -> None:
    """`shutdown()` returns when all work is done and all workers are gone."""
    executor = WebWorkerExecutor(2, launcher=launcher)
    futures = [executor.submit(double, n) for n in range(50)]
    pids = list(executor._processes or ())
    executor.shutdown()
    assert all(future.done() for future in futures)
    assert [] == [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    assert executor._processes is None


def test_without_waiting_the_work_is_done_all_the_same(pool: Pool, gate: Gate) -> None:
    """`shutdown(wait=False)` returns at once, and what is pending completes."""
    futures = [pool.submit(pass_gate, gate.path, n) for n in range(10)]
    pool.shutdown(wait=False)
    assert not futures[0].done()
    gate.open()
    assert list(range(10)) == [future.result() for future in futures]


def test_cancel_futures_cancels_what_is_pending(pool: Pool, gate: Gate) -> None:
    """What runs finishes, what is queued is cancelled, and whoever waits learns it."""
    futures = [pool.submit(pass_gate, gate.path, n) for n in range(10)]
    gate.wait_for_begun(2)
    pool.shutdown(wait=False, cancel_futures=True)
    gate.open()
    done, not_done = concurrent.futures.wait(futures, timeout=10.0)
    assert set() == not_done
    assert [0, 1] == [future.result() for future in futures[:2]]
    assert 8 == sum(future.cancelled() for future in futures)
    assert 10 == len(list(concurrent.futures.as_completed(futures, timeout=10.0)))
    assert 10 == len(done)


def test_waiters_wake_when_work_is_cancelled(pool: Pool, gate: Gate) -> None:
    """A thread that waited before the futures were cancelled goes on."""
    futures = [pool.submit(pass_gate, gate.path, n) for n in range(10)]
    gate.wait_for_begun(2)
    woken: list[int] = []
    waiter = threading.Thread(
        target=lambda: woken.append(len(concurrent.futures.wait(futures[5:], timeout=10.0)[0]))
    )
    waiter.start()
    pool.shutdown(wait=False, cancel_futures=True)
    waiter.join(10.0)
    gate.open()
    assert [5] == woken


def test_the_with_block_waits_though_its_body_raised(launcher: LauncherName) -> None:
    """Leaving the block waits for all work, and lets the exception through."""
    futures: list[concurrent.futures.Future[int]] = []
    with pytest.raises(ValueError, match="body"), WebWorkerExecutor(2, launcher=launcher) as pool:  # noqa: PT012  # the body is it
        futures += [pool.submit(double, n) for n in range(20)]
        raise ValueError("body")
    assert [2 * n for n in range(20)] == [future.result(timeout=0) for future in futures]


@pytest.mark.parametrize("method", ["terminate_workers", "kill_workers"])
def test_workers_are_ended_by_force(pool: Pool, gate: Gate, method: str) -> None:
    """What runs fails, what is queued is cancelled, and nothing more is taken: 3.14's methods."""
    futures = [pool.submit(pass_gate, gate.path, n) for n in range(10)]
    gate.wait_for_begun(2)
    getattr(pool, method)()
    for future in futures[:2]:
        assert isinstance(future.exception(timeout=10.0), BrokenProcessPool)
    concurrent.futures.wait(futures, timeout=10.0)
    assert all(future.cancelled() or future.exception() for future in futures[2:])
    with pytest.raises(RuntimeError):
        pool.submit(double, 1)


def test_it_may_be_called_from_a_callback(launcher: LauncherName) -> None:
    """A done-callback may close the executor."""
    executor = WebWorkerExecutor(1, launcher=launcher)
    closed = threading.Event()

    def close(_: object) -> None:
        executor.shutdown(wait=False)
        closed.set()

    executor.submit(double, 1).add_done_callback(close)
    assert closed.wait(10.0)
    executor.shutdown()


def test_a_dropped_executor_finishes_its_work(launcher: LauncherName, gate: Gate) -> None:
    """An executor that nobody holds is collected; its work completes and its workers leave."""
    executor = WebWorkerExecutor(2, launcher=launcher)
    futures = [executor.submit(pass_gate, gate.path, n) for n in range(10)]
    reference = weakref.ref(executor)
    del executor
    gc.collect()
    assert reference() is None
    gate.open()
    assert list(range(10)) == [future.result(timeout=10.0) for future in futures]


def test_a_forked_copy_refuses(run_script: ScriptRunner) -> None:
    """A forked child gets RuntimeError from the inherited executor; its parent is undisturbed."""
    completed = run_script(
        """
import os
import warnings
from webworker_executor import WebWorkerExecutor

warnings.simplefilter("ignore")
executor = WebWorkerExecutor(2)
assert executor.submit(abs, -1).result() == 1
pid = os.fork()
if pid == 0:
    try:
        executor.submit(abs, -1)
    except RuntimeError as exc:
        os._exit(7)
    os._exit(1)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(status, executor.submit(abs, -2).result())
"""
    )
    assert ("7 2\n", "") == (completed.stdout, completed.stderr)


def test_a_forked_copy_waits_for_no_message(run_script: ScriptRunner) -> None:
    """A forked child that asks a worker of its parent hears at once that none will answer."""
    completed = run_script(
        """
import os
import warnings
from webworker_executor import PortClosedError, WebWorkerExecutor

warnings.simplefilter("ignore")
executor = WebWorkerExecutor(2)
executor.submit(abs, -1).result()
pid = os.fork()
if pid == 0:
    try:
        executor.workers[0].receive(20)
    except PortClosedError as error:
        print(error)
    print(executor, flush=True)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )
    told, executor, status = completed.stdout.splitlines()
    assert told.startswith("worker 0 belongs to the process that this one was forked from")
    assert executor.startswith("<WebWorkerExecutor forked ")
    assert ("7", "") == (status, completed.stderr)


def test_a_forked_copy_exits_cleanly(run_script: ScriptRunner) -> None:
    """A forked child that exits the ordinary way neither hangs nor harms the parent's workers."""
    completed = run_script(
        """
import os
import warnings
from webworker_executor import WebWorkerExecutor

warnings.simplefilter("ignore")
executor = WebWorkerExecutor(2)
assert executor.submit(abs, -1).result() == 1
pid = os.fork()
if pid == 0:
    raise SystemExit(5)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(status, executor.submit(abs, -2).result())
"""
    )
    assert ("5 2\n", "") == (completed.stdout, completed.stderr)
