"""
Tests of `webworker_executor.errors`: what a program may catch.
"""

from __future__ import annotations

import pickle
from concurrent.futures.process import BrokenProcessPool

import pytest

from webworker_executor import errors


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (errors.WorkerStartError, OSError),
        (errors.WorkerCrashedError, BrokenProcessPool),
        (errors.BrokenWorkerPool, BrokenProcessPool),
        (errors.PortClosedError, ConnectionError),
        (errors.TaskAborted, Exception),
        (errors.ProtocolError, Exception),
    ],
)
def test_each_is_caught_by_its_old_name(error: type[Exception], also: type[Exception]) -> None:
    """
    A program that catches the stdlib's error, or any of ours, catches this one.
    """
    assert issubclass(error, also)
    assert issubclass(error, errors.WebWorkerError)


def test_a_crash_travels_whole() -> None:
    """
    A crash that a worker's own pool reports reaches the host with all its attributes.
    """
    crash = errors.WorkerCrashedError("it died", 7, -9, "SIGKILL", "module.task")
    copy = pickle.loads(pickle.dumps(crash))
    assert ("it died", 7, -9, 9, "SIGKILL", "module.task") == (
        str(copy),
        copy.pid,
        copy.exitcode,
        copy.signal,
        copy.signal_name,
        copy.task,
    )


@pytest.mark.parametrize(("exitcode", "signal"), [(-40, 40), (0, None), (3, None), (None, None)])
def test_the_signal_of_a_crash(exitcode: int | None, signal: int | None) -> None:
    """
    It is there if one killed the worker, and that is known.
    """
    assert signal == errors.WorkerCrashedError("it died", exitcode=exitcode).signal


def test_an_abort_knows_its_reason() -> None:
    """
    What ``abort`` was given is at hand, not only in the text.
    """
    assert "enough" == errors.TaskAborted("task was aborted", "enough").reason
    assert errors.TaskAborted("task was aborted").reason is None
