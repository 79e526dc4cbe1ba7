"""
Tests of `webworker_executor.web.endings`: how a process can end, in words.
"""

from __future__ import annotations

import errno
import signal

from webworker_executor import HandshakeError, WorkerCrashedError
from webworker_executor.web import endings


def test_errors_have_what_programs_look_for() -> None:
    """
    Numbers and names are attributes, not only text.
    """
    crash = endings.crashed("worker 'x'", 5, -signal.SIGSEGV)
    assert (5, -11, "SIGSEGV") == (crash.pid, crash.exitcode, crash.signal_name)
    unready = endings.unready("worker 'x'", 5, 1)
    assert ("exited", 1) == (unready.reason, unready.exitcode)
    late = endings.late("worker 'x'", 0.5)
    assert "timeout" == late.reason
    assert isinstance(late, TimeoutError)
    assert isinstance(endings.ran_too_long("worker 'x'", 0.5), TimeoutError)
    missing = endings.not_started("worker 'x'", FileNotFoundError(errno.ENOENT, "no file"))
    assert errno.ENOENT == missing.errno
    assert isinstance(missing.__cause__, FileNotFoundError)
    assert None is endings.not_started("worker 'x'", RuntimeError("no")).errno
    assert "terminated before it was ready" in str(endings.unwanted("worker 'x'"))


def test_a_closed_channel() -> None:
    """
    Before it was ready it is a failed handshake, afterwards a crash.
    """
    assert isinstance(endings.closed_channel("w", 5, was_ready=False), HandshakeError)
    assert isinstance(endings.closed_channel("w", 5, was_ready=True), WorkerCrashedError)
