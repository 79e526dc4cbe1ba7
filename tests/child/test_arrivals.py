"""
Tests of `webworker_executor.child.arrivals`: what comes to a script, whoever interrupts its reader.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.conformance.listening import SECONDS
from tests.patience import wait_until
from webworker_executor import Worker
from webworker_executor.launch.procfs import state_of

if TYPE_CHECKING:
    from pathlib import Path

STRUCK = """
from tests.link.interrupts import interrupted_at
from webworker_executor import scope

class Interrupt(BaseException):
    pass

def handle():
    struck.append(step)
    if scope.worker_data == "raises":
        raise Interrupt
    got.append(scope.receive_nowait())

step, struck = 0, [0]
while struck:
    got, struck = [], []
    post_message("go")
    try:
        with interrupted_at(step, handle):
            got.append(scope.receive())
    except Interrupt:
        pass
    post_message("end")
    got = [event.data for event in got if event is not None]
    while "end" not in got:
        got.append(scope.receive().data)
    if sorted(got) != ["end", "first", "second"]:
        post_message((step, got))
    step += 1
assert step > 50, step
post_message("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["raises", "reads"])
def test_a_receive_that_is_interrupted_anywhere_loses_nothing(what: str) -> None:
    """Wherever a signal handler raises or receives, each message is had once."""
    lost: list[object] = []
    with Worker(source=STRUCK, worker_data=what) as worker:
        while (told := worker.receive(SECONDS).data) != "done":
            if told == "go":
                worker.post_message("first")
                worker.post_message("second")
            elif told == "end":
                worker.post_message("end")
            else:
                lost.append(told)
    assert [] == lost


WAITING = """
import os, signal, sys
from webworker_executor import scope

got = []

def handle(*_):
    post_message("in the handler")
    with open(sys.argv[1]) as has_come:
        has_come.read()
    got.append(getattr(scope, scope.worker_data)().data)

signal.signal(signal.SIGUSR1, handle)
post_message(os.getpid())
got.append(scope.receive().data)
post_message(got)
"""


@pytest.mark.parametrize("receive", ["receive", "receive_nowait"])
def test_what_a_handler_has_read_ends_the_wait_that_it_came_into(
    receive: str, tmp_path: Path
) -> None:
    """It may read more than it takes, and the socket tells nobody of the rest."""
    has_come = tmp_path / "has_come"
    os.mkfifo(has_come)
    with Worker(source=WAITING, worker_data=receive, argv=[str(has_come)]) as worker:
        pid = worker.receive(SECONDS).data
        wait_until(lambda: state_of(pid) == "S")
        os.kill(pid, signal.SIGUSR1)
        assert "in the handler" == worker.receive(SECONDS).data
        worker.post_message("first")
        worker.post_message("second")
        has_come.write_text("")
        assert ["first", "second"] == worker.receive(SECONDS).data


SETS = """
import os, signal

def later():
    set_timeout(lambda: post_message("timer"), 0)
    queue_microtask(lambda: post_message("microtask"))

signal.signal(signal.SIGUSR1, lambda *_: later())
post_message(os.getpid())
onmessage = print
"""


def test_what_a_handler_sets_while_the_script_waits() -> None:
    """Both are seen to, though nothing else comes; microtasks before timers, due as they are."""
    with Worker(source=SETS) as worker:
        pid = worker.receive(SECONDS).data
        for _ in range(3):
            wait_until(lambda: state_of(pid) == "S")
            os.kill(pid, signal.SIGUSR1)
            assert "microtask" == worker.receive(SECONDS).data
            assert "timer" == worker.receive(SECONDS).data
