"""
Tests of `webworker_executor.link.outbox`: frames on their way into a socket.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.link.interrupts import interrupted_at
from webworker_executor.link.outbox import Outbox
from webworker_executor.link.rights import Descriptor, receive


def written(outbox: Outbox, far: socket.socket) -> bytes:
    """Write and read in turn, until nothing is left."""
    data = b""
    while True:
        try:
            outbox.write()
        except BlockingIOError:
            data += far.recv(1 << 16)
        else:
            far.setblocking(False)
            try:
                while more := far.recv(1 << 16):
                    data += more
            except BlockingIOError:
                return data


@given(st.lists(st.lists(st.integers(0, 90_000), min_size=1, max_size=3), max_size=8))
def test_everything_is_written_in_order(sizes: list[list[int]]) -> None:
    """Whatever the frames and their parts, the stream is their bytes in order."""
    near, far = socket.socketpair()
    with near, far:
        outbox = Outbox(near)
        frames = [
            [bytes([number % 256]) * nbytes for number, nbytes in enumerate(frame)]
            for frame in sizes
        ]
        for frame in frames:
            outbox.append(frame)
        everything = b"".join(b"".join(frame) for frame in frames)
        assert len(everything) == outbox.nbytes
        assert everything == written(outbox, far)
        assert (True, 0, []) == (outbox.is_empty, outbox.nbytes, outbox.unwritten())


@given(
    st.lists(st.tuples(st.sampled_from(["post", "write", "read", "ask"]), st.integers(0, 99_000)))
)
def test_what_waits_is_counted_right_whenever_it_is_asked_for(steps: list[tuple[str, int]]) -> None:
    """It is what is left, though nothing is counted twice."""
    near, far = socket.socketpair()
    with near, far:
        outbox = Outbox(near)
        far.setblocking(False)
        for step, nbytes in steps:
            with contextlib.suppress(BlockingIOError):
                if step == "post":
                    outbox.append([bytes(nbytes)])
                elif step == "write":
                    outbox.write()
                elif step == "read":
                    far.recv(1 + nbytes)
            if step == "ask":
                assert sum(len(data) for data, _ in outbox.unwritten()) == outbox.nbytes
        assert sum(len(data) for data, _ in outbox.unwritten()) == outbox.nbytes
        written(outbox, far)
        assert 0 == outbox.nbytes


def test_a_handler_that_posts_and_writes_where_it_is_counted() -> None:
    """What waits is counted right afterwards."""
    for step in itertools.count():
        near, far = socket.socketpair()
        with near, far:
            outbox = Outbox(near)
            struck: list[int] = []

            def go_on(outbox: Outbox = outbox, struck: list[int] = struck) -> None:
                outbox.write()
                outbox.append([b"later"])
                struck.append(1)

            outbox.append([b"first"])
            assert 5 == outbox.nbytes
            outbox.append([b"second"])
            with interrupted_at(step, go_on):
                outbox.nbytes  # noqa: B018  # it is the look that counts
            for _ in range(2):
                assert sum(len(data) for data, _ in outbox.unwritten()) == outbox.nbytes
            outbox.write()
            assert 0 == outbox.nbytes
        if not struck:
            break
    assert step > 2


def test_what_was_counted_is_not_kept() -> None:
    """Descriptors are closed when they have gone, though somebody has asked how much waits."""
    near, far = socket.socketpair()
    with near, far:
        outbox = Outbox(near)
        descriptor = Descriptor(os.dup(near.fileno()))
        number = descriptor.fileno()
        outbox.append([b"with it"], [descriptor])
        outbox.append([b"without"])
        outbox.append([bytes(1 << 20)])
        del descriptor
        assert 1048590 == outbox.nbytes
        with pytest.raises(BlockingIOError):
            outbox.write()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


@given(st.lists(st.integers(1, 300_000), min_size=1, max_size=6))
def test_what_is_left_goes_on_where_the_kernel_stopped(sizes: list[int]) -> None:
    """What was taken and what is left are the whole, cut anywhere."""
    near, far = socket.socketpair()
    with near, far:
        outbox = Outbox(near)
        frames = [os.urandom(nbytes) for nbytes in sizes]
        for frame in frames:
            outbox.append([frame])
        try:
            outbox.write()
        except BlockingIOError:
            pass
        left = b"".join(data for data, _ in outbox.unwritten())
        assert outbox.nbytes == len(left)
        data = b""
        while len(data) + len(left) < sum(sizes):
            data += far.recv(1 << 16)
        assert b"".join(frames) == data + left


def test_a_small_frame_alone_is_written_at_once() -> None:
    """The short way leaves nothing behind; behind others it leaves all to the long one."""
    near, far = socket.socketpair()
    with near, far:
        outbox = Outbox(near)
        assert outbox.write_alone([b"abc"])
        assert b"abc" == far.recv(10)
        outbox.append([b"first"])
        assert not outbox.write_alone([b"second"])
        outbox.write()
        assert b"firstsecond" == far.recv(20)


@pytest.mark.parametrize("writes_alone", [False, True])
def test_what_a_signal_handler_appends_at_any_moment(writes_alone: bool) -> None:
    """A frame that is appended while another goes is written, too, or reported as left."""
    near, far = socket.socketpair()
    n_moments = 0
    with near, far:
        for step in itertools.count():
            outbox = Outbox(near)
            appended: list[bytes] = []

            def append(outbox: Outbox = outbox, appended: list[bytes] = appended) -> None:
                appended.append(b"second")
                outbox.append([b"second"])

            with interrupted_at(step, append):
                if writes_alone:
                    is_written = outbox.write_alone([b"first"])
                else:
                    outbox.append([b"first"])
                    outbox.write()
                    is_written = True
            if not appended:
                break
            n_moments += 1
            assert is_written == outbox.is_empty
            outbox.write()
            assert sorted([b"first", b"second"]) == sorted(_parted(far.recv(100))), step
    assert n_moments > 3


def _parted(data: bytes) -> list[bytes]:
    return [part for part in re.split(b"(first|second)", data) if part]


def test_descriptors_go_with_their_frame() -> None:
    """What is gathered into one write never has descriptors in its midst."""
    near, far = socket.socketpair()
    reading, writing = os.pipe()
    with near, far:
        outbox = Outbox(near)
        outbox.append([b"plain"])
        outbox.append([b"with"], [Descriptor(writing)])
        outbox.append([b"plain"])
        outbox.write()
        data, fds = receive(far)
        while len(data) < 14:
            more, more_fds = receive(far)
            data, fds = data + more, fds + more_fds
        assert (b"plainwithplain", 1) == (data, len(fds))
    os.close(reading)


def test_a_large_part_is_not_copied_for_each_piece_that_is_sent() -> None:
    """The rest of it is written from where it lies, whatever comes after it."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        outbox = Outbox(near)
        large = bytes(1 << 22)
        outbox.append([b"head", large, b"tail"])
        with pytest.raises(BlockingIOError):
            outbox.write()
        rest = outbox._gathered(1 << 20)
        assert isinstance(rest, memoryview)
        assert rest.obj is large
