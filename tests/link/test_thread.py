"""
Tests of `webworker_executor.link.thread`: a thread is started once, whatever happens meanwhile.
"""

from __future__ import annotations

import _thread
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from webworker_executor.link.thread import OwnThread, ServiceThread, hush, listen

if TYPE_CHECKING:
    from tests.script import ScriptRunner


def test_it_is_started_once() -> None:
    """
    A second start does nothing, and the thread serves once.
    """
    served: list[str] = []
    service = ServiceThread(lambda: served.append(threading.current_thread().name), "service")
    service.start()
    service.start()
    service.join()
    assert ["service"] == served
    assert not service.is_current


def test_own_threads_are_known() -> None:
    """
    The package's threads are told from the program's, whatever name one of these has.
    """
    threads = [
        ServiceThread(lambda: None, "webworker-service").thread,
        threading.Thread(name="webworker-service"),
        threading.current_thread(),
    ]
    assert [True, False, False] == [isinstance(each, OwnThread) for each in threads]


def test_a_start_within_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A signal handler that comes back in the middle of the start leaves it to the outer call.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")
    start = threading.Thread.start

    def start_with_a_handler(thread: threading.Thread) -> None:
        service.start()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_with_a_handler)
    service.start()
    service.join()
    assert [1] == served


class Door:
    """
    A lock that tells which thread has come to it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.comers = Inbox[int]()

    def __enter__(self) -> None:
        self.comers(threading.get_ident())
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_start_that_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who starts it while another thread does returns when it is there: if need be by doing it.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")
    errors: list[str] = []
    second = threading.Thread(target=service.start)
    service._starting = door = Door()  # type: ignore[assignment]  # a lock
    start = threading.Thread.start

    def fail_once(thread: threading.Thread) -> None:
        if thread is not service.thread or errors:
            start(thread)
            return
        errors.append("can't start new thread")
        second.start()
        # It cannot go in before this has failed.
        while door.comers.get() != second.ident:
            pass
        raise RuntimeError(errors[0])

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        service.start()
    second.join()
    service.join()
    assert [1] == served


STARTING = """
import signal
from tests.link.inbox import Inbox
from webworker_executor.link.thread import ServiceThread

class Stop(Exception):
    pass

def handler(*_):
    if may_raise:
        raise Stop

may_raise = False
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.00037)
n_stops = 0
for number in range(1000):
    served = []
    service = ServiceThread(lambda: served.append(number), "service")
    while not service._is_begun:
        try:
            may_raise = True
            service.start()
            may_raise = False
        except Stop:
            may_raise = False
            n_stops += 1
    service.join()
    assert served == [number], served
print(n_stops > 0)
"""


@pytest.mark.slow
def test_handlers_that_raise(run_script: ScriptRunner) -> None:
    """
    Wherever in the start a signal handler raises, the thread serves once, or not yet.
    """
    done = run_script(STARTING)
    assert ("True\n", "") == (done.stdout, done.stderr)


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the system refuses, the error says so and it may be tried again.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            service.start()
    service.start()
    service.join()
    assert [1] == served


def die(*_: object) -> None:
    """
    End the thread, without a word.
    """
    raise SystemExit


def test_a_thread_that_dies_at_its_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A thread without memory for its first frame ends nobody's patience: it may be tried again.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")
    before = threading.enumerate()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "_bootstrap", die)
        with pytest.raises(RuntimeError, match="for want of memory"):
            service.start()
    assert before == threading.enumerate()
    service.start()
    service.join()
    assert [1] == served


def test_the_thread_that_starts_it_dies_at_its_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The same is true of the thread that takes the steps of the start.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")
    start = _thread.start_new_thread
    with monkeypatch.context() as patch:
        patch.setattr(_thread, "start_new_thread", lambda _, arguments: start(die, arguments))
        with pytest.raises(RuntimeError, match="for want of memory"):
            service.start()
    service.start()
    service.join()
    assert [1] == served


NO_MEMORY = """
import os, resource, signal, sys
from webworker_executor.link.thread import ServiceThread

def start(kib):
    signal.alarm(60)
    served = []
    service = ServiceThread(lambda: served.append(1), "service")
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + kib * 1024, -1))
    try:
        service.start()
    except (MemoryError, RuntimeError):
        pass
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    service.start()
    service.join()
    assert served, kib

def ended(kib):
    pid = os.fork()
    if not pid:
        # What Python prints of the threads that die is not asked about.
        os.close(2)
        start(kib)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

import threading
stack = threading.stack_size() or resource.getrlimit(resource.RLIMIT_STACK)[0]
if stack <= 0:
    stack = 8 << 20
rooms = [n * (stack >> 10) + more for n in (1, 2) for more in range(0, 100, 4)]
print([kib for kib in rooms if ended(kib)])
"""


@pytest.mark.slow
def test_memory_that_runs_out(run_script: ScriptRunner) -> None:
    """
    Wherever in the start there is no memory any more, the start ends, and the next one succeeds.
    """
    done = run_script(NO_MEMORY)
    assert ("[]\n", "") == (done.stdout, done.stderr)


def test_signals_are_left_to_others() -> None:
    """
    A thread that hushes gets no signal of the process; one that it starts does, and so does itself.
    """
    masks: list[set[signal.Signals | int]] = []

    def note() -> None:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def serve() -> None:
        hush()
        note()
        inner = ServiceThread(note, "inner")
        inner.start()
        inner.join()
        listen()
        note()

    service = ServiceThread(serve, "outer")
    service.start()
    service.join()
    hushed, inner, after = masks
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD} <= hushed
    assert not {signal.SIGSEGV, signal.SIGABRT, signal.SIGPROF} & hushed
    assert [set(), set()] == [inner, after]
