"""
Tests of `webworker_executor.child.zygote`: the zygote as its host sees it on the socket.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.launch.launcher import WorkerSpec
from webworker_executor.launch.spawn import spawn_interpreter
from webworker_executor.link.fds import socket_pair
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import CALL, HELLO, MESSAGE, RAISE, RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator


class Zygote:
    """
    A zygote and the host's end of its socket.
    """

    def __init__(self) -> None:
        self.socket, far = socket_pair()
        with far:
            self.pid = spawn_interpreter(WorkerSpec(far.fileno(), far.fileno()), "zygote", "main")
        self.socket.settimeout(10)
        self._decoder = FrameDecoder(frozenset({RESULT, RAISE, MESSAGE}))
        self._frames: list[Frame] = []
        self.pidfds: list[int] = []

    def hello(self, **changes: Any) -> None:
        hello = {"sys_path": list(sys.path), "argv": [], "preload": [], **changes}
        self.socket.sendall(encode(HELLO, 0, codec.pack(hello).payload)[0])

    def ask(self, ident: int, fds: list[int]) -> None:
        socket.send_fds(self.socket, [encode(CALL, ident)[0]], fds)

    def next_frame(self) -> Frame:
        while not self._frames:
            data, fds, _, _ = socket.recv_fds(self.socket, 1000, 10)
            assert data
            self.pidfds += fds
            self._frames = self._decoder.feed(data)
        return self._frames.pop(0)

    def number(self, kind: int, ident: int) -> int:
        frame = self.next_frame()
        assert (kind, ident) == (frame.kind, frame.ident)
        (number,) = struct.unpack(">q", frame.payload[-8:])
        return int(number)

    def end(self) -> int:
        self.socket.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    """
    Start a zygote, and end it by closing its socket.
    """
    zygote = Zygote()
    yield zygote
    zygote.end()
    for fd in zygote.pidfds:
        os.close(fd)


def test_worker_is_told_with_its_pidfd(zygote: Zygote) -> None:
    """
    The answer to a request is a pid and a descriptor of just that process; then comes its end.
    """
    zygote.hello()
    null = os.open(os.devnull, os.O_RDONLY)
    ends = [socket_pair(), socket_pair()]
    zygote.ask(5, [ends[0][1].fileno(), ends[1][1].fileno(), null])
    pid = zygote.number(RESULT, 5)
    [pidfd] = zygote.pidfds
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert -signal.SIGKILL == zygote.number(MESSAGE, pid)
    os.close(null)
    for near, far in ends:
        near.close()
        far.close()


def test_request_without_descriptors(zygote: Zygote) -> None:
    """
    A request whose descriptors did not arrive is refused; the zygote serves on.
    """
    zygote.hello()
    for ident in (1, 2):
        zygote.socket.sendall(encode(CALL, ident)[0])
        assert 24 == zygote.number(RAISE, ident)


@pytest.mark.parametrize("n_asked", [0, 1])
def test_end_of_the_host(zygote: Zygote, capfd: pytest.CaptureFixture[str], n_asked: int) -> None:
    """
    With the host's end of the socket the zygote ends, without a word, answers unread or not.
    """
    zygote.hello()
    for ident in range(n_asked):
        zygote.socket.sendall(encode(CALL, ident)[0])
    assert 0 == Zygote.end(zygote)
    zygote.end = lambda: 0  # type: ignore[method-assign]  # it has ended
    assert "" == capfd.readouterr().err
