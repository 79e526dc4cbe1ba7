"""
To `multiprocessing`, workers are children of the program, as those of the stdlib's executor are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.patience import wait_until
from webworker_executor import WebWorkerExecutor, WorkerCrashedError

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName


def _who() -> tuple[int, str]:
    return os.getpid(), multiprocessing.current_process().name


def test_they_are_among_the_active_children(launcher: LauncherName) -> None:
    """
    By pid and name, alive, and no longer than they are.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        pid, name = pool.submit(_who).result(20.0)
        (found,) = multiprocessing.active_children()
        assert (pid, pid, name) == (found.pid, found.ident, found.name)
        assert found.is_alive()
        assert (None, False) == (found.exitcode, found.daemon)
    assert [] == multiprocessing.active_children()
    assert not found.is_alive()


def test_a_program_may_end_all_of_them(launcher: LauncherName, gate: Gate) -> None:
    """
    As programs do that give up: what runs fails.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.submit(pass_gate, gate.path, None)
        gate.wait_for_begun(1)
        # A zygote may tell of the process when it has begun to run the task.
        wait_until(multiprocessing.active_children)
        for child in multiprocessing.active_children():
            child.kill()
            child.join(10.0)
            assert -signal.SIGKILL == child.exitcode
        with pytest.raises(WorkerCrashedError):
            future.result(10.0)


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_what_is_set_on_one_lasts(how: str) -> None:
    """
    Whoever looks finds the same object, and so does what ends all workers.
    """
    with WebWorkerExecutor(1) as pool:
        pid, _ = pool.submit(_who).result(20.0)
        (found,) = pool._processes.values()
        assert found is pool._processes[pid]
        assert found in multiprocessing.active_children()
        end = Mock(wraps=getattr(found, how))
        setattr(found, how, end)
        pool.kill_workers() if how == "kill" else pool.terminate_workers()
        end.assert_called_once_with()


def test_those_that_have_left_are_forgotten(launcher: LauncherName) -> None:
    """
    Also where nobody asks: workers come and go for as long as the program runs.
    """
    children = multiprocessing.process._children  # type: ignore[attr-defined]  # what there is
    with WebWorkerExecutor(1, launcher=launcher, max_tasks_per_child=1) as pool:
        for _ in range(6):
            pool.submit(abs, 1).result(20.0)
        assert len(children) < 4


PROGRAM = """
import multiprocessing, os, sys
from webworker_executor import WebWorkerExecutor
executor = WebWorkerExecutor(1, launcher=sys.argv[1])
print(executor.submit(multiprocessing.active_children).result())
process = multiprocessing.get_context("fork").Process(target=multiprocessing.active_children)
process.start()
process.join()
print(process.exitcode)
if not (pid := os.fork()):
    print(multiprocessing.active_children(), flush=True)
    sys.exit()
os.waitpid(pid, 0)
print(len(multiprocessing.active_children()))
"""


@pytest.mark.slow
def test_no_other_process_has_them(run_script: ScriptRunner, launcher: LauncherName) -> None:
    """
    Neither a worker nor a forked copy counts them as its own, and nobody waits for them at its end.
    """
    completed = run_script(PROGRAM, launcher, options=["-u", "-W", "ignore::DeprecationWarning"])
    assert ("[]\n0\n[]\n1\n", "", 0) == (
        *(completed.stdout, completed.stderr),
        completed.returncode,
    )
