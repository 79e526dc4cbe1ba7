"""
Of a process that does not answer, it is said why.
"""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import wait_until
from webworker_executor.launch import roll
from webworker_executor.launch.procfs import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sleeper:
    """
    A process that could be asked, and never answers.
    """

    def __init__(self) -> None:
        self.popen = subprocess.Popen(["sleep", "60"])
        self.pid = self.popen.pid
        self.child = self
        self.witness: object = object()

    def is_alive(self) -> bool:
        return self.popen.poll() is None


@pytest.fixture
def sleeper() -> Iterator[Any]:
    """
    Start a process, and end it after the test.
    """
    sleeper = Sleeper()
    yield sleeper
    sleeper.popen.kill()
    sleeper.popen.wait()


class Unborn:
    """
    A process that is still to come.
    """

    pid = child = witness = None


def test_one_that_is_too_slow(sleeper: Any) -> None:
    """
    The kernel knows a letter for what it does.
    """
    wait_until(lambda: "S" == state_of(sleeper.pid))
    told = roll.silence(sleeper, 0.5)
    assert "  <no answer: none came in 0.5 s; the kernel calls its state S>" == told


def test_one_that_cannot_be_asked(sleeper: Any) -> None:
    """
    A program of another language, for one.
    """
    sleeper.witness = None
    assert "it is not of Python, or no descriptor was left" in roll.silence(sleeper, 0.5)


def test_one_that_is_stopped(sleeper: Any) -> None:
    """
    It says how it can be made to go on.
    """
    sleeper.popen.send_signal(signal.SIGSTOP)
    wait_until(lambda: "T" == state_of(sleeper.pid))
    assert "it is stopped by a signal such as SIGSTOP; it goes on after SIGCONT" in roll.silence(
        sleeper, 0.5
    )


def test_one_that_has_ended(sleeper: Any) -> None:
    """
    Also when nobody has looked yet.
    """
    sleeper.popen.kill()
    sleeper.popen.wait()
    assert "  <no answer: it has ended>" == roll.silence(sleeper, 0.5)


def test_nobody_is_asked_in_vain() -> None:
    """
    Of a process that is not there yet the answer is, at once.
    """
    process: Any = Unborn()
    assert {process: ""} == roll.ask([process], 10.0, lambda call: call())
    assert "  <no answer: it is being created>" == roll.silence(process, 0.5)
