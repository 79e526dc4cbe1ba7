"""
Tests of `webworker_executor.child.data_end`: a worker's socket, from its other end.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import signal
import socket
import threading

import pytest

from webworker_executor.child.data_end import DataEnd
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import MESSAGE, NAMES


def test_frames_of_threads_are_whole() -> None:
    """
    Threads that post at the same time, more than the socket holds, do not mix their frames.
    """
    host, worker = _socket.socketpair()
    end = DataEnd(worker)
    threads = [
        threading.Thread(target=end.post, args=(encode(MESSAGE, n, bytes([n]) * 200_000), ()))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    decoder, frames = FrameDecoder(frozenset(NAMES)), list[Frame]()
    while len(frames) < len(threads):
        frames += decoder.feed(host.recv(1 << 16))
    for thread in threads:
        thread.join(10.0)
    assert set(range(8)) == {frame.ident for frame in frames}
    assert all({frame.ident} == set(bytes(frame.payload)) for frame in frames)
    host.close()
    worker.close()


def test_a_socket_that_a_task_unblocked_is_written_whole() -> None:
    """
    Non-blocking by a task's doing, the socket is made to block again.
    """
    host, worker = socket.socketpair()
    with host, worker:
        end = DataEnd(worker)
        worker.setblocking(False)
        poster = threading.Thread(target=end.post, args=(encode(MESSAGE, 1, bytes(500_000)), ()))
        poster.start()
        decoder, frames = FrameDecoder(frozenset(NAMES)), list[Frame]()
        while not frames:
            frames += decoder.feed(host.recv(1 << 16))
        poster.join(10.0)
    assert [500_000] == [len(frame.payload) for frame in frames]


class Interrupted(Exception):
    """
    Raised by a signal handler.
    """


@pytest.mark.parametrize("raises", [False, True], ids=["posts", "raises"])
def test_a_signal_handler_in_the_middle_of_a_frame(raises: bool) -> None:
    """
    Whether it posts, too, or throws the writer out, every frame is whole and in its place.
    """
    host, worker = socket.socketpair()
    end = DataEnd(worker)
    frames: list[Frame] = []
    handled = threading.Event()

    def handle(number: int, _: object) -> None:
        handled.set()
        if raises:
            raise Interrupted
        end.post(encode(MESSAGE, 2, b"of the handler"), ())

    def read() -> None:
        decoder = FrameDecoder(frozenset(NAMES))
        # By then the writer is at work; and more than the socket holds is still to be written.
        frames.extend(decoder.feed(host.recv(1)))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        handled.wait(10.0)
        while len(frames) < (2 if raises else 3):
            frames.extend(decoder.feed(host.recv(1 << 16)))

    previous = signal.signal(signal.SIGUSR1, handle)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        with contextlib.suppress(Interrupted):
            end.post(encode(MESSAGE, 1, bytes(1_000_000)), ())
        end.post(encode(MESSAGE, 3, b"afterwards"), ())
    finally:
        reader.join(10.0)
        signal.signal(signal.SIGUSR1, previous)
    assert ([1, 3] if raises else [1, 2, 3]) == [frame.ident for frame in frames]
    assert 1_000_000 == len(frames[0].payload)
    host.close()
    worker.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_copy_has_no_voice() -> None:
    """
    A process that code of a user has forked out of a worker cannot post for it.
    """
    host, worker = socket.socketpair()
    with host, worker:
        end = DataEnd(worker)
        pid = os.fork()
        if pid == 0:
            try:
                end.post(encode(MESSAGE, 1, b""), ())
            except RuntimeError:
                end.end_copy()
            os._exit(1)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
