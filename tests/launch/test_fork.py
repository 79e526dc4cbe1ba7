"""
Tests of `webworker_executor.launch.fork`: a copy of the program that never runs on as the program.
"""

from __future__ import annotations

import atexit
import errno
import io
import logging
import os
import select
import signal
import socket
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from tests.launch.peer import Peer, make_launcher
from tests.launch.test_launcher import evaluate
from tests.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.link.reactor import Reactor

memory: list[object] = []


def recall() -> list[object]:
    """
    Return what this module's list holds in the worker.
    """
    return memory


def test_memory_is_inherited(reactor: Reactor) -> None:
    """
    A worker finds the program's globals as they were, without packing.
    """
    memory[:] = ["large"]
    with Peer(make_launcher("fork"), reactor) as peer:
        memory.clear()
        assert ["large"] == peer.ready().run(recall)


def test_environment_that_was_given(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A worker has the program's environment and directory as they are now, or the one it was given.
    """
    monkeypatch.setenv("SET", "just now")
    with Peer(make_launcher("fork"), reactor) as peer:
        assert "just now" == peer.ready().run(os.getenv, "SET")
        assert os.getcwd() == peer.run(os.getcwd)
    with Peer(make_launcher("fork"), reactor, environ={"GIVEN": "all of it"}) as peer:
        assert {"GIVEN": "all of it"} == peer.ready().run(
            evaluate, "dict(__import__('os').environ)"
        )


def test_inherited_initializer(reactor: Reactor) -> None:
    """
    The initializer and its arguments are used as they lie in memory, packable or not.
    """
    lock = threading.Lock()
    inherited = (lambda *args: memory.extend(map(repr, args)), (lock,))
    with Peer(make_launcher("fork"), reactor, inherited=inherited) as peer:
        assert [repr(lock)] == peer.ready().run(recall)


def test_exit_handlers_are_the_programs(reactor: Reactor, tmp_path: Any) -> None:
    """
    What the program registered for its own exit does not run in a worker.
    """

    def leave_a_trace() -> None:
        (tmp_path / f"trace-{os.getpid()}").touch()

    atexit.register(leave_a_trace)
    try:
        with Peer(make_launcher("fork"), reactor) as peer:
            assert 0 == peer.ready().leave()
    finally:
        atexit.unregister(leave_a_trace)
    assert [] == list(tmp_path.iterdir())


def test_buffered_output_is_written_once(
    reactor: Reactor, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What the program has printed but not written is not written again by a worker.
    """
    path = tmp_path / "output"
    with path.open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        stream.write("once")
        with Peer(make_launcher("fork"), reactor) as peer:
            assert 0 == peer.ready().leave()
    assert "once" == path.read_text()


def write(stream: TextIO, text: str) -> None:
    """
    Write a text to the last byte.
    """
    stream.write(text)
    stream.flush()


def test_a_reader_that_does_not_read(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While a thread of the program waits for whoever reads its output, workers start, and print.
    """
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as reader, open(write_end, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        n_bytes = 1_000_000
        printing = threading.Thread(target=write, args=(stream, "x" * n_bytes))
        printing.start()
        wait_until(lambda: not select.select([], [stream], [], 0)[1])
        with Peer(make_launcher("fork"), reactor) as peer:
            peer.ready()
            assert n_bytes == len(reader.read(n_bytes))
            printing.join()
            peer.run(evaluate, "print('a task', flush=True)")
            assert b"a task\n" == reader.readline()
            assert 0 == peer.leave()


def test_a_log_that_is_being_written(reactor: Reactor) -> None:
    """
    While a thread of the program writes to its log, workers start, and log to the same.
    """
    logger = logging.getLogger(__name__)
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as reader, open(write_end, "w") as stream:
        handler = logging.StreamHandler(stream)
        logger.addHandler(handler)
        n_bytes = 1_000_000
        writing = threading.Thread(target=logger.warning, args=("x" * n_bytes,))
        writing.start()
        wait_until(lambda: not select.select([], [stream], [], 0)[1])
        with Peer(make_launcher("fork"), reactor) as peer:
            peer.ready()
            assert n_bytes + 1 == len(reader.read(n_bytes + 1))
            writing.join()
            peer.run(evaluate, f"__import__('logging').getLogger({__name__!r}).warning('a task')")
            assert b"a task\n" == reader.readline()
            assert 0 == peer.leave()
        logger.removeHandler(handler)


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_streams_that_cannot_be_flushed(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    """
    A program without a usable standard output can fork workers.
    """
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    with Peer(make_launcher("fork"), reactor) as peer:
        assert 4 == peer.ready().run(evaluate, "2 + 2")


def test_refused_fork(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What the kernel says when it has no room for a process is told.
    """

    def refuse() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    with Peer(make_launcher("fork"), reactor) as peer:
        assert BlockingIOError is type(peer.outcome)


def test_own_threads_are_no_reason_to_warn(reactor: Reactor) -> None:
    """
    The package's own threads are of no danger to a copy, so nobody is warned of them.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Peer(make_launcher("fork"), reactor) as peer:
            peer.ready()
    assert [] == caught


def test_a_warning_that_nobody_reads(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of threads of the program its user is warned, and no worker waits until that is read.
    """
    is_up, is_told = threading.Event(), threading.Event()

    def show(*args: object) -> None:
        assert is_up.wait(20.0)
        is_told.set()

    thread = threading.Thread(target=is_up.wait)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        with Peer(make_launcher("fork"), reactor) as peer:
            peer.ready()
            is_up.set()
            thread.join()
            assert is_told.wait(20.0 if sys.version_info >= (3, 12) else 0.0) is (
                sys.version_info >= (3, 12)
            )


def test_worker_is_on_its_main_thread(reactor: Reactor) -> None:
    """
    A task runs on what Python takes for the main thread, so that it may handle signals.
    """
    with Peer(make_launcher("fork"), reactor) as peer:
        peer.ready()
        expression = (
            "__import__('threading').current_thread() is __import__('threading').main_thread()"
        )
        assert peer.run(evaluate, expression)
        assert "MainThread" == peer.run(evaluate, "__import__('threading').current_thread().name")


@pytest.fixture
def strike(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], socket.socket]]:
    """
    Give what has a signal come for each copy as soon as there is one: the program's handler of it
    notes it in ``memory``, and the socket that is returned hears of all signals.
    """
    heard, written = socket.socketpair()
    befores: list[tuple[int, Any]] = []
    fork = os.fork
    memory.clear()

    def set_up(number: int) -> socket.socket:
        def fork_and_strike() -> int:
            pid = fork()
            if pid == 0:
                os.kill(os.getpid(), number)
            return pid

        monkeypatch.setattr(os, "fork", fork_and_strike)
        befores.append((number, signal.signal(number, lambda *_: memory.append("program's"))))
        signal.set_wakeup_fd(written.fileno())
        return heard

    with heard, written:
        heard.setblocking(False)
        written.setblocking(False)
        yield set_up
        signal.set_wakeup_fd(-1)
        for number, before in befores:
            signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_signals_for_the_program_do_not_act_in_a_copy(
    reactor: Reactor, strike: Callable[[int], socket.socket], number: signal.Signals
) -> None:
    """
    Ctrl-C, just when a copy was made and is still in the program's process group.
    """
    heard = strike(number)
    with Peer(make_launcher("fork"), reactor) as peer:
        assert [] == peer.ready().run(recall)
    with pytest.raises(BlockingIOError):
        heard.recv(1)


def test_ctrl_z_does_not_stop_a_copy(
    reactor: Reactor, strike: Callable[[int], socket.socket]
) -> None:
    """
    Nobody would go on with it: what the terminal says later is for the program's group.
    """
    strike(signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    with Peer(make_launcher("fork"), reactor) as peer:
        assert [] == peer.ready().run(recall)


def test_who_ends_a_copy_at_once_is_heard(
    reactor: Reactor, strike: Callable[[int], socket.socket]
) -> None:
    """
    SIGTERM ends a worker that has only just been forked, and the program's handler is not asked.
    """
    heard = strike(signal.SIGTERM)
    with Peer(make_launcher("fork"), reactor, say_hello=False) as peer:
        assert -signal.SIGTERM == peer.wait()
    with pytest.raises(BlockingIOError):
        heard.recv(1)
