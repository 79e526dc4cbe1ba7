"""
Tests of `webworker_executor.web.port`: a port may move at any moment, and nothing is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance import holders
from tests.link.interrupts import ctrl_c, interrupted_at
from tests.patience import wait_until
from tests.web.belongings import break_off_anywhere, use
from webworker_executor import (
    DataCloneError,
    MessageChannel,
    MessageEvent,
    MessagePort,
    PortClosedError,
    WebWorkerExecutor,
    WorkerCrashedError,
    structured_clone,
    transfer,
)
from webworker_executor.link.fds import socket_pair
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName

LIMIT = 10.0


class Holder:
    """
    Whoever holds one end: posts, receives or listens, and passes the end on.
    """

    def __init__(self, port: MessagePort) -> None:
        self.port = port
        self.posted: list[int] = []
        # For each stop of the port: a handler that still runs at one may end after a later receive.
        self.got: list[list[int]] = [[]]
        self.came = threading.Condition()

    def post(self, nbytes: int, fds: list[int]) -> None:
        number = len(self.posted)
        self.port.post_message((number, bytes(nbytes)), fds=fds)
        self.posted.append(number)

    def take(self, event: MessageEvent, got: list[int]) -> None:
        number, _ = event.data
        assert bool(event.fds) == (number % 3 == 2)
        for fd in event.fds:
            os.close(fd)
        with self.came:
            got.append(number)
            self.came.notify_all()

    def pull(self) -> None:
        if not self.port._is_started and (event := self.port.receive_nowait()) is not None:
            self.take(event, self.got[-1])

    def listen(self) -> None:
        got = self.got[-1]
        self.port.onmessage = lambda event: self.take(event, got)

    def move(self) -> None:
        # A handler that runs meanwhile has its message here; all others go along.
        old = self.port
        self.port = structured_clone(old, [old])
        assert old.detached
        self.got.append([])

    def wait_for(self, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: sum(map(len, self.got)) == count, LIMIT)


steps = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["post", "post", "post", "pull", "listen", "move", "move"]),
    st.sampled_from([0, 100, 5_000, 70_000, 300_000]),
)


@given(st.lists(steps, max_size=25))
@settings(max_examples=60)
def test_nothing_is_lost_or_reordered_however_ports_move(
    plan: list[tuple[int, str, int]],
) -> None:
    """
    Whatever is posted at whichever stop arrives once and in order, with its descriptors.
    """
    channel = MessageChannel()
    ends = [Holder(channel.port1), Holder(channel.port2)]
    del channel
    with open(os.devnull) as file:
        for which, step, nbytes in plan:
            end = ends[which]
            if step == "post":
                end.post(nbytes, [file.fileno()] if len(end.posted) % 3 == 2 else [])
            else:
                getattr(end, step)()
        for end in ends:
            end.listen()
        for end, other in (ends, ends[::-1]):
            end.wait_for(len(other.posted))
            assert other.posted == [number for got in end.got for number in got]
        for end in ends:
            end.port.close()


# All of it fits into the socket: nobody reads while it is written.
@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=6), st.data())
@settings(max_examples=40)
def test_a_port_moves_in_the_midst_of_a_frame(sizes: list[int], data: st.DataObject) -> None:
    """
    However the bytes are cut between two holders, the second goes on where the first stopped.
    """
    from webworker_executor.wire import codec

    near, far = socket_pair()
    with far:
        port = MessagePort._of(near)
        stream = b"".join(
            part
            for number, nbytes in enumerate(sizes)
            for part in encode(MESSAGE, 0, codec.pack((number, bytes(nbytes))).payload)
        )
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
        got = []
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            far.sendall(stream[start:stop])
            while (event := port.receive_nowait()) is not None:
                got.append(event.data[0])
            port = structured_clone(port, [port])
        while len(got) < len(sizes):
            got.append(port.receive(LIMIT).data[0])
        port.close()
    assert list(range(len(sizes))) == got


def test_both_ends_move_through_processes_while_both_post() -> None:
    """
    Two ends that visit workers, one stop after the other, exchange everything in order.
    """
    channel = MessageChannel()
    port1, port2 = channel.port1, channel.port2
    got1: list[Any] = []
    got2: list[Any] = []
    with WebWorkerExecutor(2) as executor:
        for stop in range(6):
            port1.post_message(("from 1", stop))
            first = executor.submit(holders.pass_on, port1, ("from 1 away", stop))
            second = executor.submit(holders.take_one, port2)
            port1 = first.result(LIMIT)
            message, port2 = second.result(LIMIT)
            got2.append(message)
            port2.post_message(("from 2", stop))
            got1.append(port1.receive(LIMIT).data)
        port1.close()
        got2 += [event.data for event in port2]
    expected = [(name, stop) for stop in range(6) for name in ("from 1", "from 1 away")]
    assert expected == got2
    assert [("from 2", stop) for stop in range(6)] == got1


def test_a_started_port_moves_out_of_its_own_handler() -> None:
    """
    A handler may give its port away; what it has not yet got goes to the next holder.
    """
    channel = MessageChannel()
    moved: list[MessagePort] = []
    done = threading.Event()

    def hand_over(event: MessageEvent) -> None:
        assert 0 == event.data
        moved.append(structured_clone(channel.port2, [channel.port2]))
        done.set()

    for number in range(100):
        channel.port1.post_message(number)
    channel.port2.onmessage = hand_over
    assert done.wait(LIMIT)
    channel.port1.close()
    assert list(range(1, 100)) == [event.data for event in moved[0]]


def test_a_port_that_another_thread_waits_at_does_not_move() -> None:
    """
    While a thread is in receive(), a transfer is refused and the thread gets its message.
    """
    with MessageChannel() as channel:
        got: list[Any] = []
        waiter = threading.Thread(target=lambda: got.append(channel.port2.receive(LIMIT).data))
        waiter.start()
        while "reader" not in channel.port2._claims:
            pass
        with pytest.raises(DataCloneError, match="waited on"):
            structured_clone(channel.port2, [channel.port2])
        channel.port1.post_message("x")
        waiter.join(LIMIT)
        assert ["x"] == got


def test_a_port_unlisted_in_a_message_is_named() -> None:
    """
    A port cannot be copied: the error says where it stands and what to do.
    """
    with MessageChannel() as channel, MessageChannel() as other:
        with pytest.raises(DataCloneError, match=r'message\["a"\]\[1\].*list it'):
            channel.port1.post_message({"a": [0, other.port1]})
        assert not other.port1.detached


def test_a_failed_transfer_leaves_a_started_port_working() -> None:
    """
    A port that was packed up for a message that failed goes on delivering.
    """
    with MessageChannel() as channel:
        got: list[int] = []
        came = threading.Semaphore(0)

        def take(event: MessageEvent) -> None:
            got.append(event.data)
            came.release()

        channel.port2.onmessage = take
        for number in range(200):
            channel.port1.post_message(number)
            with pytest.raises(DataCloneError):
                structured_clone([channel.port2, threading.Lock()], [channel.port2])
        for _ in range(200):
            assert came.acquire(timeout=LIMIT)
        assert list(range(200)) == got


def written_message() -> tuple[bytes, list[int]]:
    """
    Return what a message with a port and a descriptor is on its socket.
    """
    near, far = socket_pair()
    with far, MessageChannel() as channel, MessagePort._of(near) as port:
        port.post_message(["x" * 20, channel.port2], [channel.port2], fds=[0])
        frame, fds, _, _ = socket.recv_fds(far, 1 << 16, 8)
    return frame, fds


@pytest.mark.parametrize("fds_at", ["first byte", "last byte", "nowhere"])
def test_a_writer_killed_at_each_byte_leaves_nothing(fds_at: str) -> None:
    """
    The message comes whole or not at all, close comes after it, and no descriptor stays.
    """
    frame, fds = written_message()
    before = len(os.listdir("/proc/self/fd"))
    for cut in range(len(frame) + 1):
        near, far = socket_pair()
        with far, MessagePort._of(near) as port:
            start = {"first byte": 0, "last byte": max(0, cut - 1), "nowhere": cut}[fds_at]
            far.sendall(frame[:start])
            if start < cut:
                socket.send_fds(far, [frame[start:cut]], fds)
            far.close()
            came = list(port)
            assert port.closed
            assert (cut == len(frame)) >= len(came)
            for event in came:
                assert "nowhere" != fds_at
                event.ports[0].close()
                os.close(event.fds[0])
        assert before == len(os.listdir("/proc/self/fd")), cut
    for fd in fds:
        os.close(fd)


@pytest.mark.slow
@pytest.mark.parametrize("delay", range(6))
def test_a_holder_killed_at_any_byte_leaves_nothing(delay: int) -> None:
    """
    Whoever is killed while messages flow both ways is followed by close, in the host as well.
    """
    channel = MessageChannel()
    with WebWorkerExecutor(1) as executor:
        pid = executor.submit(holders.pid).result(LIMIT)
        doomed = executor.submit(holders.echo, channel.port2)
        for number in range(20 * 4**delay):
            channel.port1.post_message((number, bytes(1000)))
        first = channel.port1.receive(LIMIT)
        os.kill(pid, signal.SIGKILL)
        echoed = [first.data[0], *(event.data[0] for event in channel.port1)]
        assert list(range(len(echoed))) == echoed
        with pytest.raises(WorkerCrashedError):
            doomed.result(LIMIT)
        channel.port1.post_message("to nobody")
        channel.port1.drain(LIMIT)
        channel.port1.close()


@pytest.mark.slow
def test_a_host_killed_with_a_port_in_hand_is_followed_by_close(
    run_script: ScriptRunner, tmp_path: Path
) -> None:
    """
    The end that a killed program held is gone with it, for the other end in another process.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "way"))
        listener.listen()
        done = run_script(
            f"""
import os, signal, socket
from webworker_executor.web.port import MessagePort
end = socket.socket(socket.AF_UNIX)
end.connect({str(tmp_path / "way")!r})
port = MessagePort._of(end)
for number in range(5):
    port.post_message(number)
os.kill(os.getpid(), signal.SIGKILL)
"""
        )
        assert -signal.SIGKILL == done.returncode
        port = MessagePort._of(listener.accept()[0])
        assert list(range(5)) == [event.data for event in port]


def close_port(port: MessagePort) -> None:
    port.post_message("last words")
    port.close()


def test_the_end_of_a_port_is_heard_while_its_worker_goes_on(launcher: LauncherName) -> None:
    """No worker that was forked while the port was on its way has a copy of it."""
    with WebWorkerExecutor(2, launcher=launcher) as pool, MessageChannel() as channel:
        pool.submit(close_port, channel.port1).result(LIMIT)
        assert "last words" == channel.port2.receive(LIMIT).data
        with pytest.raises(PortClosedError):
            channel.port2.receive(LIMIT)


def test_who_has_a_copy_does_not_hide_that_a_port_is_closed() -> None:
    """A process that is forked in the moment of a transfer may have one as long as it lives."""
    for leave in (MessagePort.close, lambda port: None):
        channel = MessageChannel()
        copy = os.dup(channel.port1._link.fileno())  # type: ignore[union-attr]  # it is open
        with channel.port2:
            channel.port1.post_message("last words")
            leave(channel.port1)
            del channel.port1
            assert "last words" == channel.port2.receive(LIMIT).data
            with pytest.raises(PortClosedError):
                channel.port2.receive(LIMIT)
        os.close(copy)


def kill_with(port: MessagePort) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_port_that_waits_to_be_received_is_in_no_forked_worker() -> None:
    """Killed with it in hand, whoever gets it in the end leaves nobody who has it."""
    with MessageChannel() as outer, MessageChannel() as inner:
        outer.port1.post_message("first")
        outer.port1.post_message(inner.port1, transfer=[inner.port1])
        # Both are read, and one is given out.
        assert "first" == outer.port2.receive(LIMIT).data
        with (
            WebWorkerExecutor(1, launcher="fork") as bystander,
            WebWorkerExecutor(1) as pool,
        ):
            for executor in (bystander, pool):
                executor.submit(os.getpid).result(LIMIT)
            port = outer.port2.receive(LIMIT).data
            with pytest.raises(WorkerCrashedError):
                pool.submit(kill_with, port).result(LIMIT)
            with pytest.raises(PortClosedError):
                inner.port2.receive(LIMIT)


@pytest.mark.slow
def test_a_transfer_that_is_broken_off_anywhere_has_been_made_or_not() -> None:
    """Wherever a signal handler raises: all of it arrives, or all is usable as before."""
    with MessageChannel() as channel:
        # By the reactor, where whoever posted was broken off when all was queued.
        kept, gone = break_off_anywhere(channel.port1, lambda: use(channel.port2.receive(LIMIT)))
        assert channel.port2.receive_nowait() is None
    assert min(kept, gone) > 40


def test_a_message_is_written_though_its_post_is_broken_off_once_it_is_queued() -> None:
    """Whoever waits for it does not wait for the next one."""

    is_through, step = False, 0
    while not is_through:
        with MessageChannel() as channel:
            port = channel.port1
            with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
                # In two parts, which are queued before they are written.
                port.post_message("first", fds=[0])
                is_through = True
            link = port._link
            assert link is not None
            wait_until(partial(getattr, link, "is_written"))
        step += 1
    assert step > 50


def test_a_message_that_is_posted_within_the_packing_of_another_takes_its_own_along() -> None:
    """Its port does not go with the other, wherever in that its handler posts; nor afterwards."""
    with MessageChannel() as outer, MessageChannel() as inner:
        is_through, step = False, 0
        while not is_through:
            is_through = True
            first, second = MessageChannel(), MessageChannel()

            def post(second: MessageChannel = second) -> None:
                nonlocal is_through
                is_through = False
                inner.port1.post_message(transfer(second.port2, [second.port2]))

            with interrupted_at(step, post):
                outer.port1.post_message(transfer(first.port2, [first.port2]))
            ends = (
                [(first, outer.port2)]
                if is_through
                else [(first, outer.port2), (second, inner.port2)]
            )
            for channel, came in ends:
                with came.receive(LIMIT).data as moved:
                    moved.post_message(step)
                    assert step == channel.port1.receive(LIMIT).data
            first.port1.close()
            second.port1.close()
            second.port2.close()
            step += 1
        assert step > 100
