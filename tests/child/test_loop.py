"""
Tests of `webworker_executor.child.loop`: a scripted host drives a real worker.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.child import tasks
from tests.house.layout import HEAVY
from tests.launch.peer import Peer
from tests.patience import wait_until
from webworker_executor.conformance.tasks import unblock_channels
from webworker_executor.launch.procfs import state_of
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.link.ledger import Ledger
from webworker_executor.wire import codec
from webworker_executor.wire.definition import ARGUMENTS, FULL, NO_ARGUMENTS
from webworker_executor.wire.failure import unpack_failure
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import (
    ANSWER_PREFIX,
    CALL,
    CALL_PREFIX,
    CANCEL,
    CLOSE,
    DEFINE,
    HELLO,
    IDENT,
    RAISE,
    RECALL,
    REJECT,
    RESULT,
    RETURNED,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from webworker_executor.link.reactor import Reactor


def test_answers_come_in_order(peer: Peer) -> None:
    """
    Tasks run one after the other, in the order they came.
    """
    for ident in range(1, 200):
        peer.call(ident, divmod, ident, 7)
    assert [divmod(n, 7) for n in range(1, 200)] == [peer.answer(n) for n in range(1, 200)]


@pytest.mark.parametrize("value", [None, "text", (1, {2: 3}), [bytearray(3_000_000)]], ids=type)
def test_values_travel_both_ways(peer: Peer, value: object) -> None:
    """
    What a task is given and what it returns arrive equal, large buffers too.
    """
    assert value == peer.run(tasks.give, value)
    assert value == peer.run(tasks.give, value=value)


def test_shapes_of_a_call(peer: Peer) -> None:
    """
    A definition is remembered; arguments come as nothing, as a tuple, or in full.
    """
    peer.send(DEFINE, 9, codec.pack(dict).payload)
    for shape, packed in [
        (NO_ARGUMENTS, b""),
        (ARGUMENTS, codec.pack(([("a", 1)],)).payload),
        (FULL, codec.pack((None, (), {"a": 1}, None)).payload),
    ]:
        peer.send(CALL, 1, packed, [], CALL_PREFIX.pack(9, shape))
    assert [{}, {"a": 1}, {"a": 1}] == [peer.answer(1) for _ in range(3)]
    peer.send(CALL, 2, codec.pack((abs, (-1,), {}, None)).payload, [], CALL_PREFIX.pack(0, FULL))
    assert 1 == peer.answer(2)


def test_answer_tells_the_time(peer: Peer) -> None:
    """
    An answer says when the task began and how many microseconds it took.
    """
    before = time.monotonic()
    peer.call(1, tasks.evaluate, "time.sleep(0.02)")  # what is measured
    frame = peer.next_frame()
    after = time.monotonic()
    started, microseconds = ANSWER_PREFIX.unpack_from(frame.payload)
    assert RESULT == frame.kind
    assert before < started
    assert 0.02 <= microseconds / 1e6 <= after - started


@pytest.mark.parametrize("exc", ["ValueError('x')", "SystemExit(3)", "KeyboardInterrupt()"])
def test_what_a_task_raises_is_its_answer(peer: Peer, exc: str) -> None:
    """
    Whatever a task raises fails that task, and the worker goes on.
    """
    peer.call(1, tasks.evaluate, f"(_ for _ in ()).throw({exc})")
    frame = peer.next_frame()
    assert (RAISE, 1) == (frame.kind, frame.ident)
    assert exc == repr(unpack_failure(frame.payload[ANSWER_PREFIX.size :]))
    assert 1 == peer.run(abs, -1)


def test_value_that_does_not_pack_fails_its_task(peer: Peer) -> None:
    """
    What cannot be packed is an error of that one task.
    """
    with pytest.raises(TypeError, match="cannot pickle"):
        peer.run(tasks.evaluate, "threading.Lock()")
    assert 1 == peer.run(abs, -1)


@pytest.mark.parametrize(
    ("payload", "prefix"),
    [
        (b"no pickle", CALL_PREFIX.pack(0, FULL)),
        (b"", CALL_PREFIX.pack(0, NO_ARGUMENTS)),
        (b"", CALL_PREFIX.pack(1234, NO_ARGUMENTS)),
        (b"", b""),
    ],
    ids=["no pickle", "no callable", "unknown definition", "no prefix"],
)
def test_call_that_makes_no_sense_fails_alone(peer: Peer, payload: bytes, prefix: bytes) -> None:
    """
    A call that does not unpack is told from one that raises, and costs only itself.
    """
    peer.send(CALL, 5, payload, [], prefix)
    frame = peer.next_frame()
    assert (REJECT, 5) == (frame.kind, frame.ident)
    error = unpack_failure(frame.payload[ANSWER_PREFIX.size :])
    assert any("as the worker unpacked it" in note for note in error.__notes__)
    assert 1 == peer.run(abs, -1)


def test_definition_that_does_not_unpack_fails_its_calls(peer: Peer) -> None:
    """
    Whoever calls a broken definition gets the error.
    """
    peer.send(DEFINE, 7, b"no pickle")
    for ident in (1, 2):
        peer.send(CALL, ident, b"", [], CALL_PREFIX.pack(7, NO_ARGUMENTS))
        frame = peer.next_frame()
        assert ident == frame.ident
        assert "invalid load key" in str(unpack_failure(frame.payload[ANSWER_PREFIX.size :]))
    assert 1 == peer.run(abs, -1)


def test_goodbye(peer: Peer) -> None:
    """
    After CLOSE the worker finishes what came before it and ends like any program.
    """
    peer.call(1, abs, -1)
    peer.send(CLOSE, 0)
    assert 1 == peer.answer(1)
    with pytest.raises(EOFError):
        peer.next_frame()
    assert 0 == peer.wait()


def test_exit_handlers_run(start: Callable[..., Peer], tmp_path: Path) -> None:
    """
    What a task registered for the exit runs when the worker is asked to leave.
    """
    with start() as peer:
        path = tmp_path / "trace"
        peer.ready().run(tasks.evaluate, f"__import__('atexit').register(open, {str(path)!r}, 'w')")
        assert 0 == peer.leave()
        assert path.exists()


def recall(peer: Peer, count: int) -> list[int]:
    for part in encode(RECALL, 0, count.to_bytes(4, "big")):
        peer.control.sendall(part)
    frame = peer.next_frame()
    assert RETURNED == frame.kind
    payload = bytes(frame.payload)
    return [int.from_bytes(payload[i : i + 8], "big") for i in range(0, len(payload), 8)]


def test_tasks_are_given_back(peer: Peer, tmp_path: Path) -> None:
    """
    Tasks that have not begun are given back from the end; the others run as if nothing had been.
    """
    os.mkfifo(tmp_path / "gate")
    peer.call(1, tasks.wait_for_line, str(tmp_path / "gate"))
    for ident in range(2, 8):
        peer.call(ident, divmod, ident, 2)
    gate = os.open(tmp_path / "gate", os.O_WRONLY)
    assert [6, 7] == recall(peer, 2)
    assert [5] == recall(peer, 1)
    os.write(gate, b"go")
    os.close(gate)
    assert ["go", (1, 0), (1, 1), (2, 0)] == [peer.answer(ident) for ident in (1, 2, 3, 4)]


def test_what_came_for_a_task_goes_when_it_is_given_back(peer: Peer, tmp_path: Path) -> None:
    """
    That it is not wanted any more, too: such a number does not stay, nor meets who comes later.
    """
    os.mkfifo(tmp_path / "gate")
    peer.call(1, tasks.wait_for_line, str(tmp_path / "gate"))
    peer.call(2, divmod, 7, 2)
    gate = os.open(tmp_path / "gate", os.O_WRONLY)
    for part in encode(CANCEL, 2):
        peer.control.sendall(part)
    assert [2] == recall(peer, 1)
    peer.call(2, divmod, 7, 2)
    os.write(gate, b"go")
    os.close(gate)
    assert ["go", (3, 1)] == [peer.answer(ident) for ident in (1, 2)]


def mark(peer: Peer, number: int, *, aside: bool = True) -> None:
    """Recall everything, with a mark on either link."""
    peer.send(RECALL, number)
    for part in encode(RECALL, number) if aside else ():
        peer.control.sendall(part)


def passed_over(frame: Frame, number: int) -> list[int]:
    """Read what a worker that has heard of a recall of everything has passed over."""
    assert (RETURNED, number) == (frame.kind, frame.ident)
    return [ident for (ident,) in IDENT.iter_unpack(frame.payload)]


def test_what_everything_was_recalled_before_is_passed_over(
    start: Callable[..., Peer], tmp_path: Path
) -> None:
    """
    What has begun runs on, what comes behind the mark runs, and the ledger names nothing else.
    """
    os.mkfifo(tmp_path / "gate")
    ledger = Ledger(1)
    ledger.claim()
    with start(ledger=ledger) as peer:
        peer.ready().call(1, tasks.wait_for_line, str(tmp_path / "gate"))
        gate = os.open(tmp_path / "gate", os.O_WRONLY)
        peer.call(2, divmod, 7, 2)
        peer.call(3, divmod, 9, 2)
        wait_until(lambda: ledger.begun(0) == 1)
        ledger.withhold(0, 1)
        mark(peer, 1)
        peer.call(4, divmod, 11, 2)
        os.write(gate, b"go")
        os.close(gate)
        assert "go" == peer.answer(1)
        # The one or the other first: the control thread may be late to come to its mark.
        frames = {frame.kind: frame for frame in (peer.next_frame(), peer.next_frame())}
        assert [2, 3] == passed_over(frames[RETURNED], 1)
        assert 4 == frames[RESULT].ident == ledger.begun(0)
        # What was passed over may come again, and a recall too many does no harm.
        peer.call(2, divmod, 7, 2)
        assert (3, 1) == peer.answer(2)
        ledger.withhold(0, 2)
        mark(peer, 2)
        assert [] == passed_over(peer.next_frame(), 2)
    ledger.close()


def test_nothing_is_begun_between_a_recall_of_everything_and_its_mark(
    start: Callable[..., Peer],
) -> None:
    """
    Also by a worker that idles, and also where the mark is late.
    """
    ledger = Ledger(1)
    ledger.claim()
    with start(ledger=ledger) as peer:
        peer.ready().run(tasks.set_echo)
        last = ledger.begun(0)
        ledger.withhold(0, 1)
        for ident in (1, 2, 3):
            peer.call(ident, divmod, 7, 2)
        peer.post("behind them")
        assert ("echo", "message", "behind them") == peer.message()
        # What it began last may be done, and the host not know yet.
        assert last == ledger.begun(0) != 0
        mark(peer, 1, aside=False)
        peer.call(4, divmod, 7, 2)
        assert (3, 1) == peer.answer(4)
        for part in encode(RECALL, 1):
            peer.control.sendall(part)
        assert [1, 2, 3] == passed_over(peer.next_frame(), 1)
    ledger.close()


def test_a_worker_that_waits_for_tasks_says_that_it_has_none(peer: Peer) -> None:
    """
    At once, and what comes on its control link afterwards is heard.
    """
    assert [] == recall(peer, 1)
    assert [] == recall(peer, 1)
    peer.call(1, abs, -1)
    assert 1 == peer.answer(1)


def test_more_are_recalled_than_there_are(peer: Peer, tmp_path: Path) -> None:
    """
    Only what has not begun is given back, messages and definitions stay in their order.
    """
    os.mkfifo(tmp_path / "gate")
    peer.run(tasks.set_echo)
    peer.call(1, tasks.wait_for_line, str(tmp_path / "gate"))
    gate = os.open(tmp_path / "gate", os.O_WRONLY)
    peer.call(2, abs, -2)
    peer.post("a")
    peer.call(3, divmod, 7, 2)
    peer.post("b")
    assert [2, 3] == recall(peer, 100)
    assert [] == recall(peer, 100)
    os.close(gate)
    assert "" == peer.answer(1)
    assert [("echo", "message", "a"), ("echo", "message", "b")] == [peer.message(), peer.message()]
    peer.send(CALL, 4, b"", [], CALL_PREFIX.pack(0, NO_ARGUMENTS))
    assert REJECT == peer.next_frame().kind
    peer.call(5, divmod, 7, 2)
    assert (3, 1) == peer.answer(5)


@pytest.mark.parametrize("fork", [tasks.fork_and_return, tasks.fork_and_raise, tasks.fork_and_exit])
def test_forked_copy_never_answers(peer: Peer, fork: Callable[[], object]) -> None:
    """
    A task that forks and returns in both processes is answered once, by the worker.
    """
    pid = peer.child.pid
    for ident in range(1, 6):
        peer.call(ident, fork)
        frame = peer.next_frame()
        assert (ident, True) == (frame.ident, frame.kind in (RESULT, RAISE))
    peer.call(9, os.getpid)
    assert pid == peer.answer(9)
    assert 0 == peer.leave()


def test_copy_forked_in_a_handler_ends(peer: Peer) -> None:
    """
    A message handler that forks and returns in both processes does not make two workers.
    """
    peer.run(tasks.set_forking_handler)
    for _ in range(3):
        peer.post(None)
    for ident in range(1, 50):
        peer.call(ident, os.getpid)
    assert {peer.child.pid} == {peer.answer(ident) for ident in range(1, 50)}
    assert 0 == peer.leave()


def test_copy_forked_in_the_initializer_ends(reactor: Reactor) -> None:
    """
    An initializer that forks and returns in both processes does not make two workers.
    """
    initializer = codec.pack(
        (None, (tasks.fork_and_return, ()))
    ).payload  # no descriptors come with it
    with Peer(SpawnLauncher(), reactor, initializer=initializer) as peer:
        peer.ready()
        for ident in range(1, 20):
            peer.call(ident, os.getpid)
        assert {peer.child.pid} == {peer.answer(ident) for ident in range(1, 20)}


def test_copy_has_no_channel(peer: Peer) -> None:
    """
    A copy that a task forked cannot write between the worker's frames.
    """
    assert "a process that a task forked has no channel of its own to the host" == peer.run(
        tasks.fork_and_post
    )


@pytest.mark.parametrize("fd", [3, 4])
def test_task_closes_a_link(peer: Peer, fd: int, capfd: pytest.CaptureFixture[str]) -> None:
    """
    A worker without its links ends soon; it never answers into the void.
    """
    peer.call(1, os.close, fd)
    if fd == 4:
        # Nobody is told of a closed descriptor. The host's own end is what ends the thread then.
        peer.answer(1)
        peer.control.close()
        peer.data.close()
    assert 1 == peer.wait()


def test_task_makes_the_link_non_blocking(peer: Peer) -> None:
    """
    A worker whose link was made non-blocking goes on, with values of any size.
    """
    peer.run(tasks.make_non_blocking)
    # In a list: by themselves, large bytes would go through memory, not through the link.
    assert [bytes(4_000_000)] == peer.run(tasks.give, [bytes(4_000_000)])
    assert 1 == peer.run(abs, -1)


def test_lean_start(reactor: Reactor) -> None:
    """
    A worker that is ready has imported none of what takes long.
    """
    with Peer(SpawnLauncher(), reactor) as peer:
        seen = peer.ready().run(eval, "sorted(__import__('sys').modules)")
    assert set() == (HEAVY | {"webworker_executor.pool"}) & set(seen)


def test_argument_is_released_before_the_wait(peer: Peer) -> None:
    """
    What a task was given, and what it returned, is not kept while the worker waits.
    """
    peer.run(tasks.give, [bytearray(50_000_000)])
    peer.run(abs, -1)
    text = peer.run(tasks.evaluate, "open('/proc/self/status').read()")
    [rss] = [int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")]
    assert rss < 60_000


def test_frames_of_the_handshake(peer: Peer) -> None:
    """
    A second hello is not acted upon.
    """
    peer.send(HELLO, 0, codec.pack({"index": 5}).payload)
    assert 0 == peer.run(tasks.evaluate, "scope.index")


def test_recalls_are_heard_on_a_socket_that_a_task_unblocked(peer: Peer, tmp_path: Path) -> None:
    """
    A task that makes every socket non-blocking does not end its worker at a later give-back.
    """
    os.mkfifo(tmp_path / "gate")
    peer.run(unblock_channels)
    peer.call(1, tasks.wait_for_line, str(tmp_path / "gate"))
    gate = os.open(tmp_path / "gate", os.O_WRONLY)
    assert [] == recall(peer, 1)
    assert [] == recall(peer, 1)
    os.close(gate)
    assert "" == peer.answer(1)


def test_calls_of_other_threads_are_made_between_tasks(peer: Peer, tmp_path: Path) -> None:
    """
    A call that a thread asks for runs on the main thread, while the worker idles and before the
    next task begins.
    """
    os.mkfifo(tmp_path / "gate")
    assert peer.run(tasks.listen_for_calls)
    peer.run(tasks.call_from_thread, str(tmp_path / "gate"))
    with open(tmp_path / "gate") as gate:
        assert "MainThread idle" == gate.read()
    assert [] == peer.run(tasks.call_in_task)
    assert ["called"] == peer.run(tasks.called)


def test_a_thread_listens_for_calls_while_the_worker_idles(peer: Peer, tmp_path: Path) -> None:
    """
    A thread that a task has left behind may have calls made, though nobody asked for them before.
    """
    path = tmp_path / "called"
    peer.run(tasks.listen_from_thread, str(path))
    wait_until(path.exists)


def test_a_signal_handler_begins_to_listen_while_the_worker_idles(
    peer: Peer, tmp_path: Path
) -> None:
    """
    What a task's signal handler begins to listen to is heard, though the worker waited for frames.
    """
    path = tmp_path / "called"
    pid = peer.run(tasks.listen_at_a_signal, str(path))
    wait_until(lambda: state_of(pid) == "S")
    os.kill(pid, signal.SIGUSR1)
    wait_until(path.exists)
    assert -1 == peer.run(min, 1, -1)


def test_what_is_not_given_back_is_done_by_a_worker_that_is_about_to_wait(
    peer: Peer, tmp_path: Path
) -> None:
    """
    Whoever waits for calls, too, is rung for: what the control thread has read is in no socket.
    """
    os.mkfifo(tmp_path / "gate")
    assert peer.run(tasks.listen_for_calls)
    peer.run(tasks.recall_before_waiting, str(tmp_path / "gate"))
    peer.call(1, abs, -1)
    peer.call(2, abs, -2)
    (tmp_path / "gate").write_text("go")
    frame = peer.next_frame()
    assert (RETURNED, (2).to_bytes(8, "big")) == (frame.kind, bytes(frame.payload))
    assert 1 == peer.answer(1)


def test_an_alarm_that_comes_after_its_call_is_no_frame(peer: Peer, tmp_path: Path) -> None:
    """
    A worker that was rung for without need waits for calls again, and not for frames alone.
    """
    os.mkfifo(tmp_path / "gate")
    assert peer.run(tasks.listen_for_calls)
    peer.run(tasks.ring_before_calling, str(tmp_path / "gate"))
    with open(tmp_path / "gate") as gate:
        assert "called" == gate.read()
