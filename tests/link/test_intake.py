"""
Tests of `webworker_executor.link.intake`: what is read becomes frames, in any thread.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.link.fds import send_fds
from webworker_executor.link.intake import NOW, WAIT, Intake
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import MESSAGE, Frame, encode

KINDS = frozenset({MESSAGE})


@given(st.lists(st.integers(0, 50_000), max_size=6), st.data())
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
            patch.setattr(Intake, "_decoded", broken)
            with pytest.raises(KeyboardInterrupt):
                intake.read(WAIT)
        assert not inbox
        intake.read(NOW)
        assert 3 == len(inbox)


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
