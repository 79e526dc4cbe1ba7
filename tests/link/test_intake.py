"""
Tests of `webworker_executor.link.intake`: what is read becomes frames, in any thread.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.link.interrupts import interrupted_at
from tests.pool.strike import Interrupt
from webworker_executor.link.fds import send_fds
from webworker_executor.link.intake import NOW, WAIT, Intake
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import MESSAGE

KINDS = frozenset({MESSAGE})


# All of it fits into the socket: nobody reads while it is written.
@given(st.lists(st.integers(0, 20_000), max_size=6), st.data())
def test_frames_come_out_however_the_stream_is_cut(sizes: list[int], data: st.DataObject) -> None:
    """Read at any byte, and passed on to another intake at any byte, each frame comes once."""
    near, far = socket.socketpair()
    inbox: deque[Frame] = deque()
    with near, far:
        intake = Intake(near, KINDS, inbox)
        stream = b"".join(
            part
            for number, nbytes in enumerate(sizes)
            for part in encode(MESSAGE, number, bytes(nbytes))
        )
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            far.sendall(stream[start:stop])
            try:
                while True:
                    intake.read(NOW)
            except BlockingIOError:
                pass
            other = Intake(near, KINDS, inbox)
            other.adopt(*intake.residue())
            intake = other
    assert list(enumerate(sizes)) == [(frame.ident, len(frame.payload)) for frame in inbox]


def test_descriptors_come_with_their_frame() -> None:
    """Those of a frame that is read in pieces are kept until it is whole, in whatever intake."""
    near, far = socket.socketpair()
    reading, writing = os.pipe()
    inbox: deque[Frame] = deque()
    with near, far:
        (data,) = encode(MESSAGE, 1, b"x" * 100, n_fds=1)
        send_fds(far, bytes(data[:50]), [writing])
        intake = Intake(near, KINDS, inbox)
        intake.read(WAIT)
        begun, fds = intake.residue()
        assert (50, 1) == (len(begun), len(fds))
        other = Intake(near, KINDS, inbox)
        other.adopt(begun, fds)
        far.sendall(data[50:])
        other.read(WAIT)
        (descriptor,) = inbox.popleft().fds
        assert os.fstat(writing).st_ino == os.fstat(descriptor.fileno()).st_ino  # type: ignore[attr-defined]  # a Descriptor
    for fd in (reading, writing):
        os.close(fd)


def test_the_end_and_noise_are_errors() -> None:
    """An end is EOFError, however it comes; noise is a malformed frame, after what came before."""
    near, far = socket.socketpair()
    inbox: deque[Frame] = deque()
    with near:
        near.send(b"never read")
        far.sendall(bytes(encode(MESSAGE, 1, b"x")[0]) + b"noise" * 10)
        far.close()
        intake = Intake(near, KINDS, inbox)
        with pytest.raises(MalformedFrame):
            intake.read(WAIT)
        assert 1 == len(inbox)
        with pytest.raises(EOFError):
            Intake(near, KINDS, inbox).read(WAIT)


def test_a_reader_that_is_interrupted_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel gave is decoded by the next read, if the first one was broken off."""
    near, far = socket.socketpair()
    inbox: deque[Frame] = deque()
    with near, far:
        intake = Intake(near, KINDS, inbox)
        far.sendall(bytes(encode(MESSAGE, 1, b"x")[0]) * 3)

        def broken(*_: Any) -> Any:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Intake, "_decode", broken)
            with pytest.raises(KeyboardInterrupt):
                intake.read(WAIT)
        assert not inbox
        intake.read(NOW)
        assert 3 == len(inbox)


class Stream:
    """
    A stream of frames that is sent piece by piece, and read.

    Args:
        nbytes: Of each payload.
        n_cuts: How many pieces a frame has.
    """

    def __init__(self, nbytes: int, n_cuts: int) -> None:
        self.payloads = [bytes([number]) * nbytes for number in range(6)]
        stream = b"".join(
            part
            for number, data in enumerate(self.payloads)
            for part in encode(MESSAGE, number, data)
        )
        size = len(stream) // len(self.payloads) // n_cuts
        self.pieces = deque(stream[at : at + size] for at in range(0, len(stream), size))
        self.inbox: deque[Frame] = deque()
        self.near, self.far = socket.socketpair()
        self.intake = Intake(self.near, KINDS, self.inbox)

    def send(self) -> None:
        if self.pieces:
            self.far.sendall(self.pieces.popleft())

    def read(self) -> None:
        try:
            self.intake.read(NOW)
        except BlockingIOError:
            pass


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(("nbytes", "n_cuts"), [(10, 1), (10, 3), (5000, 1), (200_000, 4)])
@pytest.mark.parametrize("n_before", [0, 1, 2])
def test_a_handler_may_read_within_a_read(
    nbytes: int, n_cuts: int, n_before: int, raises: bool
) -> None:
    """
    Wherever it does, every byte comes once and in order, though it raises as well.
    """
    for step in itertools.count():
        stream = Stream(nbytes, n_cuts)
        struck: list[int] = []

        def handle(stream: Stream = stream, struck: list[int] = struck) -> None:
            struck.append(1)
            stream.send()
            stream.read()
            stream.send()
            if raises:
                raise Interrupt

        with stream.near, stream.far:
            for _ in range(n_before):
                stream.send()
                stream.read()
            stream.send()
            with contextlib.suppress(Interrupt), interrupted_at(step, handle):
                stream.read()
            while stream.pieces:
                stream.send()
                stream.read()
            # What was left where the handler raised, and the rest.
            for _ in range(4):
                stream.read()
        came = [(frame.ident, bytes(frame.payload)) for frame in stream.inbox]
        assert list(enumerate(stream.payloads)) == came, step
        if not struck:
            break
    assert step > 3


def test_a_handler_may_read_while_a_read_waits() -> None:
    """
    What comes to the one who waits, after that, is not lost.
    """
    stream = Stream(10, 1)
    struck = threading.Event()

    def handle(*_: object) -> None:
        stream.send()
        stream.read()
        struck.set()
        stream.send()

    before = signal.signal(signal.SIGUSR1, handle)
    with stream.near, stream.far:
        try:
            main = threading.get_ident()
            thread = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1))
            thread.start()
            # Wherever the signal finds it, it waits for what the handler sends.
            stream.intake.read(WAIT)
            thread.join()
        finally:
            signal.signal(signal.SIGUSR1, before)
        stream.read()
    assert struck.is_set()
    assert [0, 1] == [frame.ident for frame in stream.inbox]


def test_a_handler_may_read_where_descriptors_are_taken() -> None:
    """
    They have one owner, and the next ones are given theirs.
    """
    for step in itertools.count():
        near, far = socket.socketpair()
        reading, writing = os.pipe()
        struck: list[int] = []
        inbox: deque[Frame] = deque()

        def send(number: int, far: socket.socket = far, fd: int = writing) -> None:
            send_fds(far, bytes(encode(MESSAGE, number, b"", n_fds=1)[0]), [fd])

        with near, far, open(reading, "rb"), open(writing, "wb"):
            intake = Intake(near, KINDS, inbox)

            def handle(intake: Intake = intake, struck: list[int] = struck) -> None:
                struck.append(1)
                with contextlib.suppress(BlockingIOError):
                    intake.read(NOW)
                send(2)

            send(1)
            with contextlib.suppress(BlockingIOError), interrupted_at(step, handle):
                intake.read(NOW)
            with contextlib.suppress(BlockingIOError):
                intake.read(NOW)
            fds = [descriptor.fileno() for frame in inbox for descriptor in frame.fds]  # type: ignore[attr-defined]  # a Descriptor
            assert [1, 2][: 1 + len(struck)] == [frame.ident for frame in inbox]
            assert len(inbox) == len(set(fds))
            assert {os.fstat(writing).st_ino} == {os.fstat(fd).st_ino for fd in fds}
            inbox.clear()
        if not struck:
            break
    assert step > 3


def test_what_is_forgotten_is_closed() -> None:
    """
    The descriptors of half a frame, though the intake is kept.
    """
    near, far = socket.socketpair()
    reader, writer = os.pipe()
    with near, far, open(reader, "rb") as pipe:
        intake = Intake(near, KINDS, deque())
        send_fds(far, b"".join(encode(MESSAGE, 1, b"half", n_fds=1))[:-1], [writer])
        os.close(writer)
        intake.read(NOW)
        assert 1 == len(intake.residue()[1])
        intake.forget()
        assert (b"", []) == intake.residue()
        assert b"" == pipe.read()
