"""
Workers share the program's resource tracker, and named memory outlives them.
"""

from __future__ import annotations

from multiprocessing import resource_tracker, shared_memory
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.work import double
from webworker_executor import WebWorkerExecutor, Worker

if TYPE_CHECKING:
    from webworker_executor.web.launchers import LauncherName

pytestmark = pytest.mark.slow


def fill(name: str, index: int) -> None:
    """Attach to a block, as Pythons before 3.13 do: the tracker hears of it."""
    block = shared_memory.SharedMemory(name)
    assert block.buf is not None
    block.buf[index] = index + 1
    block.close()


def make(size: int) -> str:
    """Make a block that others shall use."""
    block = shared_memory.SharedMemory(create=True, size=size)
    block.close()
    return block.name


def contents(block: Any) -> list[int]:
    """Read what tasks have written, by the name, which must still be there."""
    again = shared_memory.SharedMemory(block.name)
    assert again.buf is not None
    found = list(again.buf[:4])
    again.close()
    return found


def test_memory_outlives_a_worker_that_attached_to_it(launcher: LauncherName) -> None:
    """
    The end of a worker removes nothing that the program still has; nor does its death.
    """
    with WebWorkerExecutor(1, launcher=launcher, max_tasks_per_child=1) as pool:
        # The worker is there before the program has a tracker.
        assert 4 == pool.submit(double, 2).result(20.0)
        block = shared_memory.SharedMemory(create=True, size=16)
        try:
            for index in range(4):
                pool.submit(fill, block.name, index).result(20.0)
            pool.shutdown()
            assert [1, 2, 3, 4] == contents(block)
        finally:
            block.close()
            block.unlink()


def test_memory_outlives_the_worker_that_made_it(launcher: LauncherName) -> None:
    """
    A task may leave a block to the program, which removes it.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        name = pool.submit(make, 16).result(20.0)
    block = shared_memory.SharedMemory(name)
    assert 16 <= block.size
    block.close()
    block.unlink()


def test_worker_that_is_forked_while_a_tracker_starts(launcher: LauncherName) -> None:
    """
    Another thread has the tracker's lock at the fork; a task gets it all the same.
    """
    block = shared_memory.SharedMemory(create=True, size=16)
    try:
        lock = vars(resource_tracker)["_resource_tracker"]._lock
        with WebWorkerExecutor(1, launcher=launcher) as pool:
            with lock:
                assert 4 == pool.submit(double, 2).result(20.0)
            pool.submit(fill, block.name, 0).result(20.0)
    finally:
        block.close()
        block.unlink()


SCRIPT = """
from multiprocessing import resource_tracker, shared_memory
from webworker_executor import scope
mine = shared_memory.SharedMemory(create=True, size=16)
mine.buf[0] = 9
mine.close()
post_message((mine.name, resource_tracker._resource_tracker._pid))
theirs = shared_memory.SharedMemory(scope.worker_data)
theirs.buf[0] = 7
theirs.close()
close()
"""


def test_memory_outlives_a_script_that_used_it() -> None:
    """
    What a script has made, or attached to, is still there when its worker has ended.
    """
    block = shared_memory.SharedMemory(create=True, size=16)
    with Worker(source=SCRIPT, worker_data=block.name) as worker:
        name, tracker = worker.receive(20.0).data
        # One of its own would remove them a moment after the worker's end.
        assert tracker is None
        worker.lifetime.result(20.0)
    made = shared_memory.SharedMemory(name)
    assert [7, 9] == [contents(each)[0] for each in (block, made)]
    for each in (block, made):
        each.close()
        each.unlink()


PLAIN = """
import sys
from webworker_executor import WebWorkerExecutor

def task():
    return "multiprocessing.resource_tracker" in sys.modules

with WebWorkerExecutor(1) as executor:
    print(executor.submit(task).result(20), "multiprocessing.resource_tracker" in sys.modules)
"""


def test_nothing_is_started_for_those_who_need_none(run_script: Any) -> None:
    """
    A program without shared memory has no tracker, and its workers have none.
    """
    done = run_script(PLAIN)
    assert ("", "False False\n") == (done.stderr, done.stdout)


SHARED = """
from multiprocessing import shared_memory
from webworker_executor import WebWorkerExecutor

def fill(name):
    block = shared_memory.SharedMemory(name)
    block.buf[0] = 7
    block.close()

executor = WebWorkerExecutor(2, launcher={launcher!r})
block = shared_memory.SharedMemory(create=True, size=16)
list(executor.map(fill, [block.name] * 4, chunksize=1))
executor.shutdown()
print(block.buf[0])
block.close()
block.unlink()
"""


def test_nobody_is_told_of_leaks_that_are_none(run_script: Any, launcher: LauncherName) -> None:
    """
    A program that removes what it made ends without a warning of the tracker.
    """
    done = run_script(SHARED.format(launcher=launcher), options=["-X", "dev"])
    assert ("", "7\n") == (done.stderr, done.stdout)


INTERRUPTS = """
import signal, threading
from multiprocessing import shared_memory
from webworker_executor import WebWorkerExecutor

def make():
    block = shared_memory.SharedMemory(create=True, size=8)
    block.close()
    return block.name

with WebWorkerExecutor(1) as executor:
    block = shared_memory.SharedMemory(executor.submit(make).result(20))
    block.close()
    block.unlink()
    [reactor] = [each for each in threading.enumerate() if each.name == "webworker-reactor"]
    with open(f"/proc/self/task/{reactor.native_id}/status") as file:
        [mask] = [line.split()[1] for line in file if line.startswith("SigBlk")]
    print(bool(int(mask, 16) >> (signal.SIGINT - 1) & 1))
"""


@pytest.mark.slow
def test_ctrl_c_still_goes_to_the_main_thread(run_script: Any) -> None:
    """
    The stdlib unblocks some signals where it has started a tracker: on the thread for I/O.
    """
    done = run_script(INTERRUPTS)
    assert ("True\n", "") == (done.stdout, done.stderr)
