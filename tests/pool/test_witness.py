"""
A witness hears of stacks from a process that cannot tell anything else.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.link.reactor import Reactor
from webworker_executor.pool.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dropin.gate import Gate


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """
    Run a reactor during the test.
    """
    reactor = Reactor()
    reactor.start()
    yield reactor
    reactor.stop()
    reactor.join()


class Myself:
    """This process."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


class Deaf(Myself):
    """A process that gets no signals."""

    def send_signal(self, number: int) -> None:
        """Do nothing."""


def on_reactor(reactor: Reactor, call: Callable[[], object]) -> None:
    """Make a call on the reactor's thread, and wait for it."""
    is_done = threading.Event()

    def do() -> None:
        call()
        is_done.set()

    reactor.call_soon(do)
    assert is_done.wait(10.0)


def test_this_very_process_can_be_asked(reactor: Reactor) -> None:
    """
    Its stacks come to all who want to know.
    """
    witness = Witness(reactor)
    faulthandler.register(signal.SIGURG, witness.writer, all_threads=True, chain=False)
    answers: list[str] = []
    is_done = threading.Event()

    def note(text: str) -> None:
        answers.append(text)
        if len(answers) == 2:
            is_done.set()

    def ask() -> None:
        for _ in range(2):
            witness.ask(Myself(), note)

    reactor.call_soon(ask)
    assert is_done.wait(10.0)
    faulthandler.unregister(signal.SIGURG)
    on_reactor(reactor, witness.close)
    assert answers[0] == answers[1]
    assert "in test_this_very_process_can_be_asked" in answers[0]


def test_the_end_of_the_process_is_an_answer(reactor: Reactor) -> None:
    """
    Whoever waits is told that nothing will come; also when the pipe is closed here.
    """
    for end in ("process", "host"):
        witness = Witness(reactor)
        answers: list[str] = []
        on_reactor(reactor, lambda: witness.ask(Deaf(), answers.append))  # noqa: B023  # called at once
        assert [] == answers
        if end == "process":
            on_reactor(reactor, witness.handed_over)
            on_reactor(reactor, lambda: None)
        on_reactor(reactor, witness.close)
        assert [""] == answers
        on_reactor(reactor, lambda: witness.ask(Deaf(), answers.append))  # noqa: B023  # as above
        assert ["", ""] == answers


def test_who_has_gone_is_not_called(reactor: Reactor) -> None:
    """
    What had come by then is his.
    """
    witness = Witness(reactor)
    answers: list[str] = []
    forgotten: list[str] = []
    on_reactor(reactor, lambda: witness.ask(Deaf(), answers.append))
    # As if a handler were at work.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
    os.write(witness.writer, b"Thread 0x01 (most recent call first):\n  here\n")
    on_reactor(reactor, lambda: None)
    on_reactor(reactor, lambda: forgotten.append(witness.forget(answers.append)))
    on_reactor(reactor, lambda: forgotten.append(witness.forget(answers.append)))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGURG])
    on_reactor(reactor, witness.close)
    assert ([], ["Thread 0x01 (most recent call first):\n  here", ""]) == (answers, forgotten)


def test_nobody_waits_for_a_full_pipe(reactor: Reactor) -> None:
    """
    A worker that writes more than anybody reads is not held up.
    """
    witness = Witness(reactor)
    n_written = os.write(witness.writer, bytes(1 << 22))
    assert n_written < 1 << 22
    with pytest.raises(BlockingIOError):
        os.write(witness.writer, b"more")
    assert None is witness.last_words()
    witness.close()
    witness.close()


def fault(signal_number: int) -> None:
    """Die of a fault, as a bug in C code does."""
    os.kill(os.getpid(), signal_number)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_has_the_last_stack(number: signal.Signals) -> None:
    """
    As an attribute of the error, and as a note that tracebacks show.
    """
    with WebWorkerExecutor(1) as pool, pytest.raises(WorkerCrashedError) as caught:
        pool.submit(fault, number).result(10.0)
    error = caught.value
    assert number.name == error.signal_name
    assert error.stack is not None
    assert " in fault" in error.stack
    assert error.stack.startswith("Fatal Python error: ")
    assert [f"The worker's last words:\n{error.stack}"] == error.__notes__
    assert error.stack == pickle.loads(pickle.dumps(error)).stack


def test_a_kill_leaves_no_stack(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Nobody could write one.
    """
    future = forked.submit(pass_gate, gate.path, 1)
    (pid,) = gate.wait_for_begun(1)
    assert 1 == len(forked.dump_stacks(10.0))
    os.kill(pid, signal.SIGKILL)
    error = future.exception(10.0)
    assert isinstance(error, WorkerCrashedError)
    assert (None, False) == (error.stack, hasattr(error, "__notes__"))


def test_the_next_worker_can_be_asked_as_well(pool: WebWorkerExecutor) -> None:
    """
    Each has a pipe of its own, which goes with it.
    """
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert isinstance(pool.submit(os._exit, 1).exception(10.0), WorkerCrashedError)
        assert 4 == pool.submit(double, 2).result(10.0)
        assert pool.dump_stacks(10.0)
    assert len(os.listdir("/proc/self/fd")) < before + 20
