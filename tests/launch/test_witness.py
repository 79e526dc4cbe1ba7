"""
A witness hears of stacks from a process that cannot tell anything else.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.patience import wait_until
from webworker_executor.launch.witness import Witness
from webworker_executor.link.reactor import Reactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.wire.frame import Parts


@pytest.fixture(autouse=True)
def no_watchdog() -> None:
    """
    Have no thread beside those that are asked: the one that watches over a test's time comes up at
    its beginning and blocks all signals then, as one does that runs a handler.
    """
    faulthandler.cancel_dump_traceback_later()


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


def unheard(parts: Parts) -> None:
    """Lose a frame, as the control link of a process does that does not read it."""


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
    witness = Witness(reactor, unheard)
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
        witness = Witness(reactor, unheard)
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
    witness = Witness(reactor, unheard)
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


def test_a_thread_that_has_not_begun_may_be_the_one_that_answers(reactor: Reactor) -> None:
    """
    It blocks all signals at first, and that of its handler later: the dump is not over then.
    """
    witness = Witness(reactor, unheard)
    answers: list[str] = []
    is_answered = threading.Event()

    def note(text: str) -> None:
        answers.append(text)
        is_answered.set()

    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        on_reactor(reactor, lambda: witness.ask(Deaf(), note))
        signal.pthread_sigmask(signal.SIG_SETMASK, before | {signal.SIGURG})
        os.write(witness.writer, b"Thread 0x")
        # It has read that, and has looked whether there will be more.
        wait_until(lambda: witness._text)
        on_reactor(reactor, witness._look)
        assert [] == answers
        os.write(witness.writer, b"01 (most recent call first):\n  here\n")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert is_answered.wait(10.0)
    on_reactor(reactor, witness.close)
    assert ["Thread 0x01 (most recent call first):\n  here"] == answers


def test_nobody_waits_for_a_full_pipe(reactor: Reactor) -> None:
    """
    A worker that writes more than anybody reads is not held up.
    """
    witness = Witness(reactor, unheard)
    n_written = os.write(witness.writer, bytes(1 << 22))
    assert n_written < 1 << 22
    with pytest.raises(BlockingIOError):
        os.write(witness.writer, b"more")
    assert None is witness.last_words()
    witness.close()
    witness.close()
