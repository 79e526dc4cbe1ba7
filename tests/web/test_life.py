"""
Tests of `webworker_executor.web.life`: start, time-outs and end of the process behind a worker.

What users see of it is asked for in ``test_worker`` and in ``tests/conformance``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS, Ear
from tests.leaks import descriptors, new_descriptors
from tests.link.interrupts import broken_off, interrupted_at
from tests.patience import wait_until
from webworker_executor import Worker, WorkerStartError, ZygoteLauncher
from webworker_executor.link.rights import LOWEST
from webworker_executor.web import life
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner


def test_terminated_before_it_is_ready() -> None:
    """
    ``ready`` fails, the lifetime does not, and the exit is told.
    """
    worker = Worker(source="", launcher="spawn")
    ear = Ear(worker)
    worker.terminate(0)
    assert isinstance(worker.ready.exception(SECONDS), WorkerStartError | None)
    assert None is worker.lifetime.result(SECONDS)
    assert ["exit"] == [event.type for event in ear.to_the_end()]


def test_a_signal_before_the_process_is_there() -> None:
    """
    It is sent as soon as it can be.
    """
    worker = Worker(source="import time; time.sleep(60)")
    worker.kill(signal.SIGKILL)
    assert -signal.SIGKILL == worker.exited.result(SECONDS)


def test_a_fork_right_after_a_worker_has_ended() -> None:
    """
    The copy lets go of what is over in the original, and of all that follows.
    """
    worker = Worker(source="")
    worker.terminate(0)
    worker.exited.result(SECONDS)
    pid = os.fork()
    if pid == 0:
        # As from the reactor's last step on, which takes a moment to let go of the worker.
        worker._life.disown_after_fork()
        os._exit(0)
    assert (pid, 0) == os.waitpid(pid, 0)


@pytest.mark.slow
def test_a_process_that_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever is to fork it does not get to it: a worker that is killed is over all the same.
    """
    (tmp_path / "endless_module.py").write_text("import signal; signal.pause()")
    monkeypatch.syspath_prepend(str(tmp_path))
    worker = Worker(source="", launcher=ZygoteLauncher(["endless_module"]))
    worker.terminate(0)
    assert None is worker.exited.result(SECONDS)


@pytest.mark.slow
def test_a_program_that_is_interrupted(run_script: ScriptRunner) -> None:
    """
    After Ctrl-C nobody waits for workers: they are killed.
    """
    source = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('waited for', flush=True))\n"
        "post_message(1)\n"
        "time.sleep(60)\n"
    )
    done = run_script(
        "from webworker_executor import Worker\n"
        f"worker = Worker(source={source!r})\n"
        "worker.receive(20)\n"
        "raise KeyboardInterrupt\n"
    )
    assert "KeyboardInterrupt" in done.stderr
    assert "" == done.stdout


@pytest.mark.slow
def test_a_program_that_ends_asks_all_at_once(run_script: ScriptRunner, tmp_path: Path) -> None:
    """
    Workers that take a while to leave take it side by side: here each waits for the others.
    """
    (tmp_path / "leaving").mkdir()
    source = (
        "import os, time\n"
        "def onclose(event):\n"
        "    open(f'leaving/{os.getpid()}', 'w').close()\n"
        "    while len(os.listdir('leaving')) < 3: time.sleep(0.01)\n"
        "    os.write(1, b'together\\n')\n"
    )
    done = run_script(
        "from webworker_executor import Worker\n"
        f"workers = [Worker(source={source!r}) for _ in range(3)]\n"
        "for worker in workers: worker.ready.result(20)\n"
    )
    assert ("together\n" * 3, "") == (done.stdout, done.stderr)


def test_nothing_is_kept_of_the_dead() -> None:
    """
    A life that is over is forgotten.
    """
    worker = Worker(source="close()")
    worker.exited.result(SECONDS)
    deadline = time.monotonic() + SECONDS
    while worker._life in life._living and time.monotonic() < deadline:
        os.sched_yield()
    assert worker._life not in life._living
    assert worker._life.is_over
    assert "exited" in repr(worker._life)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
# One process or two for each of some hundred places: 3 s, and 55 with a load of sixteen.
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["script", "command", "streams"])
def test_a_making_that_is_broken_off_anywhere_leaves_nothing(kind: str) -> None:
    """
    Wherever a signal handler raises in the constructor, all of it is given back.
    """

    def make() -> None:
        if kind == "script":
            made.append(Worker(source="", launcher="fork"))
        elif kind == "command":
            made.append(Worker(command=["cat"]))
        else:
            made.append(Worker(source="", stdin="pipe", stdout="pipe"))

    made: list[Worker] = []
    with contextlib.ExitStack() as opened:
        # What is moved above these has no owner for a moment.
        while opened.enter_context(open(os.devnull)).fileno() < LOWEST:
            pass
        before = descriptors()
        for _ in broken_off(make, every=1 if kind == "script" else 7):
            for worker in made:
                worker.__exit__()
            made.clear()
            wait_until(lambda: not (gc.collect() < 0 or life._living or host._users))
            wait_until(lambda: not new_descriptors(before), tell=lambda: new_descriptors(before))


def test_no_signal_handler_comes_between_a_worker_and_its_end() -> None:
    """
    It is dropped within C: what a handler raised there would be swallowed, and the worker stay.
    """
    worker = Worker(source="def onmessage(event): pass")
    worker.ready.result(SECONDS)
    exited, struck = worker.exited, list[bool]()
    with interrupted_at(0, lambda: struck.append(True)):
        del worker
    assert 0 == exited.result(SECONDS)
    assert not struck
