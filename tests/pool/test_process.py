"""
One worker process: birth, life, and how its end is told.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import socket
import stat
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from webworker_executor import (
    BrokenWorkerPool,
    WebWorkerExecutor,
    WorkerCrashedError,
    ZygoteLauncher,
)
from webworker_executor.pool.process import WorkerProcess
from webworker_executor.wire.kinds import RESULT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dropin.gate import Gate
    from webworker_executor.launch.launcher import Child
    from webworker_executor.web.launchers import LauncherName
    from webworker_executor.wire.frame import Frame


def end_as(exitcode: int) -> None:
    """End this process without ado."""
    os._exit(exitcode)


def end_by(number: int) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)
    signal.pause()


def write_to_sockets(data: bytes) -> None:
    """Write into every socket of this process, as no worker would, and wait."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                os.write(int(name), data)
        except OSError:
            continue
    signal.pause()


def close_sockets() -> None:
    """Close every socket of this process, and wait."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                socket.close(int(name))
        except OSError:
            continue
    signal.pause()


@pytest.mark.parametrize("exitcode", [0, 3])
def test_an_exit_is_told_with_its_status(pool: WebWorkerExecutor, exitcode: int) -> None:
    """
    With pid, status and task, as text and as attributes.
    """
    with pytest.raises(WorkerCrashedError) as caught:
        pool.submit(end_as, exitcode).result(10.0)
    error = caught.value
    assert f"exited with status {exitcode} while running {__name__}.end_as." in str(error)
    assert (exitcode, None, f"{__name__}.end_as") == (error.exitcode, error.signal_name, error.task)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_is_told_by_name(forked: WebWorkerExecutor, number: signal.Signals) -> None:
    """
    With the likeliest reason.
    """
    with pytest.raises(WorkerCrashedError, match=f"was killed by {number.name}") as caught:
        forked.submit(end_by, number).result(10.0)
    assert (-number, number.name) == (caught.value.exitcode, caught.value.signal_name)


@pytest.mark.parametrize(
    "data", [b"\0" * 64, b"\xff" * 64, b"garbage\n" * 8], ids=["zeros", "huge", "text"]
)
def test_what_is_no_frame_ends_its_worker_only(pool: WebWorkerExecutor, data: bytes) -> None:
    """
    Nothing is allocated by a claimed length, and the reason is told.
    """
    future = pool.submit(write_to_sockets, data)
    others = [pool.submit(abs, -number) for number in range(5)]
    with pytest.raises(WorkerCrashedError, match="because it wrote what is no frame"):
        future.result(10.0)
    assert [0, 1, 2, 3, 4] == [other.result(10.0) for other in others]


@pytest.mark.slow
def test_a_closed_link_is_the_end_of_its_worker(forked: WebWorkerExecutor) -> None:
    """
    A process that lives on without its link is killed; its task has failed.
    """
    with pytest.raises(WorkerCrashedError):
        forked.submit(close_sockets).result(10.0)
    assert 1 == forked.submit(abs, -1).result(10.0)


def test_a_result_that_left_is_a_result(forked: WebWorkerExecutor) -> None:
    """
    What was written before the end is read before the worker counts as dead.
    """
    futures = [forked.submit(abs, -number) for number in range(20)]
    end = forked.submit(end_as, 1)
    assert list(range(20)) == [future.result(10.0) for future in futures]
    assert isinstance(end.exception(10.0), WorkerCrashedError)


@pytest.mark.slow
def test_a_worker_that_does_not_leave_is_forced() -> None:
    """
    SIGTERM comes after five seconds, SIGKILL one second later.
    """
    pool = WebWorkerExecutor(1, launcher="fork")
    pid = pool.submit(os.getpid).result(10.0)
    os.kill(pid, signal.SIGSTOP)
    pool.shutdown()
    assert not os.path.exists(f"/proc/{pid}")


def test_a_process_shows_itself(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Its repr has the pid, for logs.
    """
    pool.submit(pass_gate, gate.path, 1)
    (pid,) = gate.wait_for_begun(1)
    # With a zygote the task may run before the host has heard of its pid.
    assert pid in (pool._processes or {})
    texts = [repr(process) for process in pool._pool.crew.processes.values()]
    assert any(str(pid) in text for text in texts)


def count_sockets() -> int:
    """Count the sockets that this process has open."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            # That of the listing itself.
            continue
    return sum(link.startswith("socket:") for link in links)


def test_a_worker_that_cannot_be_launched_leaves_no_socket() -> None:
    """
    Not even while the error is kept, whose traceback holds all that was under way.
    """
    before = count_sockets()
    with WebWorkerExecutor(1, launcher="fork") as pool:
        pool._pool.crew.birth.initializer_fds = [1 << 20]
        error = pool.submit(abs, 1).exception(10.0)
        assert isinstance(error, BrokenWorkerPool)
        assert isinstance(error.__cause__, OSError)
        assert before == count_sockets()


@pytest.mark.slow
def test_a_process_that_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever is to fork it does not get to it: a shutdown with a time-out comes to its end.
    """
    (tmp_path / "endless_module.py").write_text("import signal; signal.pause()")
    monkeypatch.syspath_prepend(str(tmp_path))
    pool = WebWorkerExecutor(2, launcher=ZygoteLauncher(["endless_module"]))
    future = pool.submit(abs, -1)
    pool.shutdown(wait=False, timeout=0.0)
    assert isinstance(future.exception(10.0), BrokenWorkerPool)
    assert pool._pool.stopped.wait(10.0)


def fail_unread() -> None:
    """Raise, where nobody reads standard error."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(select.PIPE_BUF))
    os.set_blocking(writer, True)
    os.dup2(writer, 2)
    # Without a reader it would be an error to write.
    assert reader
    raise ValueError("of the initializer")


@pytest.mark.slow
def test_an_initializer_whose_words_nobody_reads(launcher: LauncherName) -> None:
    """
    What it raised is the cause of each future's error, also where it cannot be logged.
    """
    pool = WebWorkerExecutor(1, launcher=launcher, initializer=fail_unread)
    try:
        error = pool.submit(abs, -1).exception(20.0)
    finally:
        pool.shutdown(timeout=0.0)
    assert isinstance(error, BrokenWorkerPool)
    assert "of the initializer" == str(error.__cause__)


def test_a_process_is_known_before_it_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What a zygote forks may answer before the zygote says that it is there: it is kept until then.
    """
    known: SimpleQueue[Callable[[], None]] = SimpleQueue()
    heard: SimpleQueue[list[Frame]] = SimpleQueue()
    started, received = WorkerProcess._started, WorkerProcess._received

    def start_late(process: WorkerProcess, child: Child) -> None:
        known.put(partial(process._reactor.call_soon, partial(started, process, child)))

    def receive(process: WorkerProcess, frames: list[Frame]) -> None:
        received(process, frames)
        heard.put(frames)

    monkeypatch.setattr(WorkerProcess, "_started", start_late)
    monkeypatch.setattr(WorkerProcess, "_received", receive)
    with WebWorkerExecutor(1, launcher="zygote") as pool:
        future = pool.submit(abs, -1)
        while all(frame.kind != RESULT for frame in heard.get(timeout=20.0)):
            assert not future.done()
        assert not future.done()
        assert [] == multiprocessing.active_children()
        known.get(timeout=20.0)()
        assert 1 == future.result(20.0)
        assert 1 == len(multiprocessing.active_children()) == len(pool._processes)
