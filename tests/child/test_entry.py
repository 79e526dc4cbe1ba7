"""
Tests of `webworker_executor.child.entry`: what is settled before the first task.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.child import tasks
from tests.launch.peer import Peer
from tests.patience import wait_until
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.wire import codec
from webworker_executor.wire.failure import unpack_failure
from webworker_executor.wire.kinds import CLOSE, LOAD_ERROR, READY

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor.link.reactor import Reactor

# A terminal of its own, which stops whoever writes to it in the background.
AT_A_TERMINAL = """
import fcntl, os, sys, termios
from webworker_executor import WebWorkerExecutor

def use_the_terminal():
    terminal = os.open("/dev/tty", os.O_RDWR)
    os.write(terminal, b"written")
    try:
        os.read(terminal, 1)
    except OSError as error:
        return error.strerror

screen, terminal = os.openpty()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
attributes = termios.tcgetattr(terminal)
attributes[3] |= termios.TOSTOP
termios.tcsetattr(terminal, termios.TCSANOW, attributes)
with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
    future = executor.submit(use_the_terminal)
    try:
        print(future.result(10.0), os.read(screen, 100))
    finally:
        executor.kill_workers()
"""


def test_hello_must_come_first(reactor: Reactor) -> None:
    """
    A host that does not say hello is no host.
    """
    with Peer(SpawnLauncher(), reactor, say_hello=False) as peer:
        peer.send(CLOSE, 0)
        assert 1 == peer.wait()


@pytest.mark.parametrize("link", ["data", "control"])
@pytest.mark.parametrize("noise", [b"noise in place of frames", bytes(100)], ids=["text", "zeros"])
def test_noise_ends_the_worker(
    peer: Peer, link: str, noise: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    A worker that is sent what is no frame ends: it cannot know what was meant.
    """
    getattr(peer, link).sendall(noise)
    assert 1 == peer.wait()


def test_surroundings(reactor: Reactor, tmp_path: Path) -> None:
    """
    A worker looks like its host: path, arguments, environment, directory, main file.
    """
    hello: dict[str, Any] = {
        "sys_path": ["/somewhere", *sys.path],
        "argv": ["its", "arguments"],
        "environ": {**os.environ, "GIVEN": "yes"},
        "cwd": str(tmp_path),
        "main": {"__file__": "/main.py"},
    }
    with Peer(SpawnLauncher(), reactor, **hello) as peer:
        peer.ready()
        seen = peer.run(
            tasks.evaluate,
            "[sys.path[0], sys.argv, os.environ['GIVEN'], os.getcwd(),"
            " sys.modules['__main__'].__file__, sorted(vars(sys.modules['__main__']))[:3]]",
        )
    assert ["/somewhere", ["its", "arguments"], "yes", str(tmp_path), "/main.py"] == seen[:5]


def test_initializer(reactor: Reactor) -> None:
    """
    The initializer runs before the worker is ready.
    """
    initializer = codec.pack((None, (os.putenv, ("A", "B")))).payload  # no descriptors come with it
    with Peer(SpawnLauncher(), reactor, initializer=initializer) as peer:
        assert READY == peer.next_frame().kind


def test_initializer_that_fails(reactor: Reactor, capfd: pytest.CaptureFixture[str]) -> None:
    """
    A failing initializer is told to the host and to standard error in the stdlib's words.
    """
    initializer = codec.pack((None, (int, ("no number",)))).payload  # no descriptors come with it
    with Peer(SpawnLauncher(), reactor, initializer=initializer) as peer:
        frame = peer.next_frame()
        assert LOAD_ERROR == frame.kind
        assert ValueError is type(unpack_failure(frame.payload))
        assert 1 == peer.wait()
    error = capfd.readouterr().err
    assert "Exception in initializer:" in error
    assert "invalid literal for int()" in error


def test_interrupt_reaches_a_task(peer: Peer) -> None:
    """
    SIGINT is the task's to handle while one runs.
    """
    peer.call(1, tasks.interrupted)
    assert "waiting" == peer.message()
    peer.child.send_signal(signal.SIGINT)
    assert "interrupted" == peer.answer(1)


def test_interrupt_fails_a_task(peer: Peer) -> None:
    """
    A task that does not handle SIGINT fails with KeyboardInterrupt; the worker goes on.
    """
    peer.call(1, tasks.wait_for_signal)
    assert "waiting" == peer.message()
    peer.child.send_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        peer.answer(1)
    assert 1 == peer.run(abs, -1)


def test_interrupt_between_tasks(peer: Peer) -> None:
    """
    SIGINT while the worker waits or reads does nothing at all.
    """
    for _ in range(100):
        peer.child.send_signal(signal.SIGINT)
        peer.post(None)
    status = Path(f"/proc/{peer.child.pid}/status")
    # The last one may wait for a thread that does not get its turn.
    wait_until(lambda: re.search(r"^ShdPnd:\s+0+$", status.read_text(), re.MULTILINE))
    # A signal that reaches the control thread first may come to the main thread's notice late.
    peer.run(tasks.absorb_interrupts)
    for ident in range(1, 20):
        peer.call(ident, abs, -ident)
    assert list(range(1, 20)) == [peer.answer(ident) for ident in range(1, 20)]


def test_nobody_waits_for_the_terminal(run_script: ScriptRunner, launcher: str) -> None:
    """
    A worker that reads from the terminal is told so, and one that prints is not stopped.
    """
    ran = run_script(AT_A_TERMINAL, launcher)
    assert "Input/output error b'written'\n" == ran.stdout, ran.stderr
