"""
Tests of `webworker_executor.link.local`: frames arrive whole, once and in order, or not at all.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from webworker_executor.link.fds import send_fds
from webworker_executor.link.local import Link
from webworker_executor.link.outbox import GATHERED_NBYTES
from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.frame import (
    BUFFERS,
    COUNTED_NBYTES,
    HEADER,
    PICKLE,
    SHARED,
    Frame,
    encode,
)
from webworker_executor.wire.kinds import ANSWER_PREFIX, CALL, CLOSE, MESSAGE, NAMES, RESULT
from webworker_executor.wire.place import Place, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.link.reactor import Reactor

Pair = tuple[socket.socket, socket.socket]
ALL = frozenset(NAMES)


class End:
    """
    A link under test, and what its callbacks got.
    """

    def __init__(self, end: socket.socket, reactor: Reactor) -> None:
        self.frames = Inbox[Frame]()
        self.ends = Inbox[Exception | None]()
        self.link = Link(end, reactor, ALL, self.frames, self.ends)


@pytest.fixture
def near(pair: Pair, reactor: Reactor) -> Iterator[End]:
    """
    Open a link on the first socket of the pair.
    """
    end = End(pair[0], reactor)
    yield end
    end.link.close()


def read_frames(far: socket.socket, count: int) -> list[Frame]:
    """
    Read so many frames from a plain socket.
    """
    decoder = FrameDecoder(ALL)
    frames: list[Frame] = []
    while len(frames) < count:
        data = far.recv(1 << 16)
        assert data, f"the stream ended after {len(frames)} of {count} frames"
        frames += decoder.feed(data)
    assert decoder.is_between_frames
    return frames


def idents(frames: list[Frame]) -> list[int]:
    return [frame.ident for frame in frames]


def wait_for_reactor(reactor: Reactor) -> None:
    """
    Return when the reactor has done what was asked for before.
    """
    done = threading.Event()
    reactor.call_soon(done.set)
    assert done.wait(20)


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_posted_frame_arrives(near: End, pair: Pair) -> None:
    """
    What is posted and flushed is in the kernel's hands when `flush` returns, if there is room.
    """
    near.link.post(encode(CALL, 7, b"hello"))
    near.link.flush()
    assert 0 == near.link.unsent_nbytes
    [frame] = read_frames(pair[1], 1)
    assert (CALL, 7, b"hello") == (frame.kind, frame.ident, bytes(frame.payload))


def test_post_alone_sends_nothing(near: End, pair: Pair) -> None:
    """
    Frames wait for the flush, so that many can leave in one call of the kernel.
    """
    for ident in range(3):
        near.link.post(encode(CALL, ident))
    assert 48 == near.link.unsent_nbytes
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)
    near.link.flush()
    assert 48 == len(pair[1].recv(100))


def test_frames_arrive_on_the_reactor(pair: Pair, reactor: Reactor) -> None:
    """
    Both callbacks run on the reactor's thread, the end after the last frame.
    """
    seen = Inbox[tuple[str, bool]]()
    link = Link(
        pair[0],
        reactor,
        ALL,
        lambda frame: seen((repr(frame), reactor.is_current_thread)),
        lambda error: seen((repr(error), reactor.is_current_thread)),
    )
    pair[1].sendall(b"".join(encode(RESULT, 1) + encode(MESSAGE, 2)))
    pair[1].close()
    assert [("<Frame RESULT #1 0 B>", True), ("<Frame MESSAGE #2 0 B>", True)] == seen.take(2)
    assert ("None", True) == seen.get()
    assert "<Link closed>" == repr(link)


@pytest.mark.parametrize("nbytes", [0, 3_000, 40_000, 300_000])
def test_order_through_a_narrow_socket(near: End, pair: Pair, nbytes: int) -> None:
    """
    Nothing is lost or doubled where the kernel takes a little at a time.
    """
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    count = 2_000_000 // (nbytes + 5_000)
    for ident in range(count):
        payload = struct.pack("I", ident) * (nbytes // 4)
        near.link.post(encode(MESSAGE, ident, payload, [payload] * (ident % 3)))
        near.link.flush()
    assert near.link.unsent_nbytes > 0
    frames = read_frames(pair[1], count)
    assert list(range(count)) == idents(frames)
    for ident, frame in enumerate(frames):
        payload = struct.pack("I", ident) * (nbytes // 4)
        assert payload == bytes(frame.payload[: len(payload)])
        assert [payload] * (ident % 3) == [bytes(view) for view in frame.buffers]


def test_reactor_sends_the_rest(near: End, pair: Pair, reactor: Reactor) -> None:
    """
    What did not fit leaves as soon as there is room, without another call.
    """
    near.link.post(encode(CALL, 1, bytes(4_000_000)))
    near.link.flush()
    assert near.link.unsent_nbytes > 0
    assert [1] == idents(read_frames(pair[1], 1))
    wait_for_reactor(reactor)
    assert 0 == near.link.unsent_nbytes


@pytest.mark.parametrize(
    "sizes",
    [
        [GATHERED_NBYTES - 16, GATHERED_NBYTES, GATHERED_NBYTES + 16],
        [1, GATHERED_NBYTES * 2, 1, 1, GATHERED_NBYTES - 17, 1],
        [0] * 20_000,
    ],
    ids=["about the limit", "large among small", "very many"],
)
def test_gathered_frames_are_whole(near: End, pair: Pair, sizes: list[int]) -> None:
    """
    Frames that leave together arrive as they were posted, whatever their sizes.
    """
    for ident, nbytes in enumerate(sizes):
        near.link.post(encode(CALL, ident, bytes([ident % 256]) * nbytes))
    reader = Inbox[list[Frame]]()
    thread = in_thread(lambda: reader(read_frames(pair[1], len(sizes))))
    near.link.flush()
    frames = reader.get()
    thread.join()
    assert list(range(len(sizes))) == idents(frames)
    assert [bytes([ident % 256]) * n for ident, n in enumerate(sizes)] == [
        bytes(frame.payload) for frame in frames
    ]


def test_both_ways_at_once(pair: Pair, reactor: Reactor) -> None:
    """
    Two ends that both send more than the sockets hold do not wait for each other.
    """
    one, other = End(pair[0], reactor), End(pair[1], reactor)
    for ident in range(3):
        one.link.post(encode(CALL, ident, b"o" * 3_000_000))
        other.link.post(encode(RESULT, ident, b"t" * 3_000_000))
        one.link.flush()
        other.link.flush()
    assert [0, 1, 2] == idents(other.frames.take(3))
    assert [0, 1, 2] == idents(one.frames.take(3))
    one.link.close()
    other.link.close()


def test_posts_of_many_threads(near: End, pair: Pair) -> None:
    """
    Frames of several threads are never mixed, and those of one thread keep their order.
    """
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    start = threading.Barrier(5)

    def send(thread: int) -> None:
        start.wait(20)
        for number in range(300):
            payload = bytes([thread]) * (number * 10)
            near.link.post(encode(MESSAGE, thread << 16 | number, payload, [payload]))
            near.link.flush()

    threads = [in_thread(partial(send, index)) for index in range(4)]
    start.wait(20)
    frames = read_frames(pair[1], 1200)
    for thread in threads:
        thread.join()
    for index in range(4):
        mine = [frame for frame in frames if frame.ident >> 16 == index]
        assert list(range(300)) == [frame.ident & 0xFFFF for frame in mine]
        assert {bytes([index])} >= {bytes(f.buffers[0][:1]) for f in mine if f.buffers[0]}


def test_unsent_is_told_while_others_post(near: End, pair: Pair) -> None:
    """
    The count of unsent bytes may be asked for at any time, on any thread.
    """
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    done = threading.Event()

    def post() -> None:
        for ident in range(20_000):
            near.link.post(encode(CALL, ident))
        done.set()

    thread = in_thread(post)
    counts = [near.link.unsent_nbytes]
    while not done.is_set():
        counts.append(near.link.unsent_nbytes)
    thread.join()
    assert sorted(counts) == counts
    assert 320_000 == near.link.unsent_nbytes


def test_end_of_the_stream(near: End, pair: Pair) -> None:
    """
    When the other side leaves, the end is told once, and then posting is for nobody.
    """
    pair[1].close()
    assert None is near.ends.get()
    near.link.post(encode(CALL, 1))
    near.link.flush()
    near.link.close()
    assert near.ends.is_empty
    assert -1 == pair[0].fileno()


def test_end_within_a_frame(near: End, pair: Pair) -> None:
    """
    Half a frame before the end is no frame.
    """
    pair[1].sendall(b"".join([*encode(RESULT, 1, b"whole"), *encode(RESULT, 2, b"half")])[:-1])
    pair[1].close()
    assert None is near.ends.get()
    assert 1 == near.frames.get().ident
    assert near.frames.is_empty


def test_half_a_frame_leaves_no_descriptor(near: End, pair: Pair) -> None:
    """
    However long the link is kept that it came to.
    """
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe:
        send_fds(pair[1], b"".join(encode(RESULT, 2, b"half", n_fds=1))[:-1], [writer])
        os.close(writer)
        pair[1].close()
        assert None is near.ends.get()
        assert b"" == pipe.read()


def test_reset_after_data(near: End, pair: Pair) -> None:
    """
    What the other side wrote is read although it left without reading all that we sent.
    """
    near.link.post(encode(CALL, 1))
    near.link.flush()
    pair[1].sendall(encode(RESULT, 1, b"value")[0])
    # Closing with something unread makes the kernel tell us ECONNRESET.
    pair[1].close()
    assert None is near.ends.get()
    assert b"value" == bytes(near.frames.get().payload)


def test_sending_to_nobody_still_reads(pair: Pair, reactor: Reactor) -> None:
    """
    A send that fails does not keep the last words of the other side from being read.
    """
    stopped, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        stopped.set()
        go_on.wait(20)

    reactor.call_soon(hold)
    assert stopped.wait(20)
    near = End(pair[0], reactor)
    pair[1].sendall(encode(RESULT, 1, b"value")[0])
    pair[1].close()
    for ident in range(3):
        near.link.post(encode(CALL, ident))
        near.link.flush()
    go_on.set()
    assert None is near.ends.get()
    assert b"value" == bytes(near.frames.get().payload)


def test_other_side_that_stopped_reading(near: End, pair: Pair, reactor: Reactor) -> None:
    """
    Where nobody reads any more, what is posted is discarded; what comes is still read.
    """
    pair[1].shutdown(socket.SHUT_RD)
    for ident in range(10):
        near.link.post(encode(CALL, ident, bytes(10_000)))
        near.link.flush()
    wait_for_reactor(reactor)
    pair[1].sendall(encode(RESULT, 1)[0])
    assert 1 == near.frames.get().ident
    pair[1].close()
    assert None is near.ends.get()


@pytest.mark.parametrize(
    "noise",
    [bytes(100), b"a print() into the descriptor", b"\xff" * 16],
    ids=["zeros", "text", "ones"],
)
def test_noise_ends_the_link(near: End, pair: Pair, noise: bytes) -> None:
    """
    What is no frame ends the link with an error that shows it; frames before it arrive.
    """
    pair[1].sendall(b"".join([*encode(RESULT, 1), noise]))
    error = near.ends.get()
    assert MalformedFrame is type(error)
    assert repr(noise[:16]) in str(error)
    assert 1 == near.frames.get().ident
    assert b"" == pair[1].recv(1)


def test_frame_of_the_wrong_direction_ends_the_link(pair: Pair, reactor: Reactor) -> None:
    """
    Only the kinds that were named may come.
    """
    ends = Inbox[Exception | None]()
    Link(pair[0], reactor, frozenset({RESULT}), lambda frame: None, ends)
    pair[1].sendall(encode(CLOSE, 0)[0])
    assert MalformedFrame is type(ends.get())


class Led(Link):
    """A link that somebody would lead just before its end."""

    leads: list[object]

    def _end(self, error: Exception | None) -> None:
        lead = self.leading.begin()
        if lead is not None:
            self.leading.end(lead)
        # Nor could one who has begun before.
        self.leads.append((lead, self.leading.is_handing))
        super()._end(error)


@pytest.mark.parametrize("is_large", [True, False])
def test_nobody_reads_between_nonsense_and_the_end(
    pair: Pair, reactor: Reactor, is_large: bool
) -> None:
    """
    What stands behind a frame that cannot be read is for no leader.
    """
    payload, flags = b"\0" * 20 + b"\xff" * 300_000, BUFFERS
    if not is_large:
        places = [Place(99, 0, 10)]
        payload, flags = lay_out(b"\0" * ANSWER_PREFIX.size, b"pickle", places), SHARED
    ends = Inbox[Exception | None]()
    link = Led(pair[0], reactor, ALL, lambda frame: None, ends)
    link.leads = []
    header = HEADER.pack(COUNTED_NBYTES + len(payload), RESULT, flags, PICKLE, 0, 7)
    pair[1].sendall(header + payload)
    assert ends.get() is not None
    assert [(None, True)] == link.leads


def test_close_within_a_callback(pair: Pair, reactor: Reactor) -> None:
    """
    A callback may close its link: the end is not told, and nothing comes after.
    """
    seen = Inbox[int]()
    ends = Inbox[Exception | None]()

    def take(frame: Frame) -> None:
        seen(frame.ident)
        link.close()

    link = Link(pair[0], reactor, ALL, take, ends)
    pair[1].sendall(b"".join(encode(RESULT, 1) + encode(RESULT, 2)))
    assert 1 == seen.get()
    wait_for_reactor(reactor)
    assert (True, True) == (seen.is_empty, ends.is_empty)
    assert b"" == pair[1].recv(1)


def test_close_twice(near: End, pair: Pair, reactor: Reactor) -> None:
    """
    A closed link discards what it had and what is posted, and may be closed again.
    """
    near.link.post(encode(CALL, 1, bytes(4_000_000)))
    near.link.flush()
    near.link.close()
    near.link.close()
    near.link.post(encode(CALL, 2))
    near.link.flush()
    near.link.read()
    wait_for_reactor(reactor)
    assert near.ends.is_empty
    assert "<Link closed>" == repr(near.link)


def test_one_link_does_not_keep_others_waiting(near: End, pair: Pair, reactor: Reactor) -> None:
    """
    A link with much to read leaves the reactor to the others now and then.
    """
    busy, calm = socket.socketpair(), socket.socketpair()
    order = Inbox[str]()

    def note(name: str, frame: Frame) -> None:
        order(name)

    links = [
        Link(end[0], reactor, ALL, partial(note, name), lambda error: None)
        for name, end in [("busy", busy), ("calm", calm)]
    ]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            busy[1].sendall(encode(RESULT, 1, bytes(60_000))[0])

    writer = in_thread(write)
    assert "busy" == order.get()
    calm[1].send(encode(RESULT, 2)[0])
    while order.get() != "calm":
        pass
    stop.set()
    writer.join()
    for link, (_, far) in zip(links, [busy, calm], strict=True):
        link.close()
        far.close()


@pytest.mark.parametrize("end", ["read", "left", "closed"])
def test_who_waits_for_the_last_byte_is_told(near: End, pair: Pair, end: str) -> None:
    """
    A call is made when everything is written, and also when it never will be.
    """
    told = Inbox[str]()
    near.link.when_written(lambda: told("at once"))
    assert "at once" == told.get()
    near.link.post(encode(MESSAGE, 0, bytes(3_000_000)))
    near.link.when_written(lambda: told("later"))
    assert told.is_empty
    if end == "read":
        # To the last byte, and no further: who reads it may be faster than who tells of it.
        n_left = 3_000_016
        while n_left:
            n_left -= len(pair[1].recv(1 << 20))
    elif end == "left":
        pair[1].close()
    else:
        near.link.close()
    assert "later" == told.get()
    near.link.close()
    near.link.when_written(lambda: told("too late"))
    assert "too late" == told.get()


@pytest.mark.parametrize("is_waited_for", [False, True])
def test_what_a_handler_posts_goes_with_the_flush_that_it_interrupts(
    near: End, pair: Pair, is_waited_for: bool
) -> None:
    """
    Wherever in it the handler comes: nobody else may come to write for hours.
    """
    link = near.link

    def post_within(number: int) -> bool:
        """Post in the midst, when so many calls have returned; whether there were so many."""
        n_calls, has_posted = 0, False

        def returned(_: object, event: str, __: object) -> None:
            nonlocal n_calls, has_posted
            n_calls += event == "c_return"
            if n_calls == number and not has_posted:
                has_posted = True
                link.post(encode(MESSAGE, 2))
                link.flush()

        link.post(encode(MESSAGE, 1))
        sys.setprofile(returned)
        try:
            link.when_written(int) if is_waited_for else link.flush()
        finally:
            sys.setprofile(None)
        return has_posted

    number = 1
    while post_within(number):
        assert 0 == link.unsent_nbytes, f"after {number} calls"
        number += 1
    assert number > 4
    assert number * [1, 2] == [*idents(read_frames(pair[1], 2 * number - 1)), 2]


def test_repr_tells_the_state(near: End) -> None:
    """
    A link prints its descriptor and what is unsent.
    """
    near.link.post(encode(CALL, 1, b"abc"))
    assert f"<Link fd={near.link._fd} unsent=19>" == repr(near.link)


def test_read_takes_all_that_was_written(pair: Pair, reactor: Reactor) -> None:
    """
    Asked without a limit, the link reads what a dead process left, to its end.
    """
    stopped, go_on = threading.Event(), threading.Event()
    pair[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)

    def hold() -> None:
        stopped.set()
        go_on.wait(20)
        near.link.read()
        read.set()

    reactor.call_soon(hold)
    assert stopped.wait(20)
    read = threading.Event()
    near = End(pair[0], reactor)
    count = 0
    pair[1].setblocking(False)
    frame = encode(RESULT, 1, bytes(200))[0]
    while count * len(frame) < 100_000:
        count += 1
        assert len(frame) == pair[1].send(frame)
    pair[1].close()
    go_on.set()
    assert read.wait(20)
    assert count == len(near.frames.take(count))
    assert None is near.ends.get()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_copy_disowns(near: End, pair: Pair) -> None:
    """
    A forked copy lets go of the socket even where another thread held the link at the fork.
    """
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with near.link._lock:
            held.set()
            release.wait(20)

    thread = in_thread(hold)
    assert held.wait(20)
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(30)
            near.link.disown()
            near.link.post(encode(CALL, 1))
            near.link.close()
            near.link.flush()
            near.link.leading.end_lease()
            assert not near.link.unsent_nbytes
            os._exit(0 if pair[0].fileno() == -1 else 1)
        finally:
            os._exit(2)
    release.set()
    thread.join()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    near.link.post(encode(CALL, 2))
    near.link.flush()
    assert [2] == idents(read_frames(pair[1], 1))
