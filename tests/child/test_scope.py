"""
Tests of `webworker_executor.child.scope`: messages between the host and a worker.
"""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from tests.child import tasks
from tests.launch.peer import Peer
from webworker_executor.child.scope import scope
from webworker_executor.errors import DataCloneError
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.wire import codec
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor


def test_outside_a_worker() -> None:
    """
    In the program itself the scope says what it is not, and where to look.
    """
    assert (False, None, "", None) == (scope.is_worker, scope.index, scope.name, scope.worker_data)
    assert "<scope: not a worker>" == repr(scope)
    with pytest.raises(RuntimeError, match=r"executor\.workers\[i\]\.post_message\(\)"):
        scope.post_message(1)
    with pytest.raises(RuntimeError, match=r"scope\.close\(\) is for the script of a Worker"):
        scope.close()


def test_scope_is_the_process_own() -> None:
    """
    Wherever the scope is unpacked, it is that process's own.
    """
    assert scope is pickle.loads(pickle.dumps(scope))
    assert scope is copy.deepcopy(scope)


def test_inside_a_worker(start: Callable[..., Peer]) -> None:
    """
    A worker knows its index, its executor's name and the data it was given.
    """
    packed = codec.pack({"a": 1})
    worker_data = (packed.payload, packed.buffers)
    with start(index=4, name="resize", worker_data=worker_data) as peer:
        assert [
            True,
            4,
            "resize",
            {"a": 1},
            "<scope of worker 4 of executor 'resize'>",
        ] == peer.ready().run(tasks.describe)


def test_messages_both_ways(peer: Peer) -> None:
    """
    A handler gets a message event, and may post at once.
    """
    peer.run(tasks.set_echo)
    for message in (1, "two", [bytearray(300_000)]):
        peer.post(message)
        assert ("echo", "message", message) == peer.message()


def test_messages_before_a_handler_wait(peer: Peer) -> None:
    """
    Messages that came before the handler are delivered when it is set, in order.
    """
    for number in range(3):
        peer.post(number)
    peer.call(1, tasks.set_echo)
    assert None is peer.answer(1)
    peer.post(3)
    assert [("echo", "message", n) for n in range(4)] == [peer.message() for _ in range(4)]


def test_messages_come_before_the_answer(peer: Peer) -> None:
    """
    What a task posts arrives before its result, in order.
    """
    peer.call(1, tasks.post, 1, [bytearray(1_000_000)], 3)
    assert [1, [bytearray(1_000_000)], 3] == [peer.message() for _ in range(3)]
    assert "posted" == peer.answer(1)


def test_messages_of_threads_are_whole(peer: Peer) -> None:
    """
    Threads of a task may post at once: messages stay whole, those of one thread in order.
    """
    peer.call(1, tasks.post_from_threads, 4, 10, 200_000)
    messages = [peer.message() for _ in range(40)]
    assert None is peer.answer(1)
    for index in range(4):
        mine = [message for message in messages if message[0] == index]
        assert [(index, n, bytes([index]) * 200_000) for n in range(10)] == mine


def test_message_that_does_not_pack(peer: Peer) -> None:
    """
    What cannot be packed is the task's error, and nothing is sent.
    """
    with pytest.raises(DataCloneError, match="cannot pickle"):
        peer.run(tasks.evaluate, "scope.post_message(threading.Lock())")
    assert 1 == peer.run(abs, -1)


@pytest.mark.parametrize("message", ["fail", "exit"])
def test_failing_handler(reactor: Reactor, capfd: pytest.CaptureFixture[str], message: str) -> None:
    """
    What a handler raises goes to standard error, and the worker takes the next message.
    """
    with Peer(SpawnLauncher(), reactor) as peer:
        peer.ready().run(tasks.set_failing_handler)
        peer.post(message)
        peer.post("next")
        assert "next" == peer.message()
    assert f"a handler's {'bug' if message == 'fail' else 'exit'}" in capfd.readouterr().err


def test_message_that_does_not_unpack(reactor: Reactor, capfd: pytest.CaptureFixture[str]) -> None:
    """
    A message that cannot be unpacked goes to standard error; the next one is delivered.
    """
    with Peer(SpawnLauncher(), reactor) as peer:
        peer.ready().run(tasks.set_echo)
        peer.send(MESSAGE, 0, b"no pickle")
        peer.post("next")
        assert ("echo", "message", "next") == peer.message()
    assert "UnpicklingError" in capfd.readouterr().err


def test_handler_that_cannot_be_called(peer: Peer) -> None:
    """
    What is no handler is stored as none, as in a browser.
    """
    peer.run(setattr, scope, "onmessage", "print")
    assert None is peer.run(getattr, scope, "onmessage")


def test_receive_is_not_for_tasks(peer: Peer) -> None:
    """
    A task cannot wait for a message to the worker, and is told what it can do.
    """
    with pytest.raises(RuntimeError, match=r"set scope\.onmessage"):
        peer.run(tasks.evaluate, "scope.receive(20)")


def test_only_exceptions_are_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """
    Wrong use is told at the call; an exception is told of in the program, too.
    """
    with pytest.raises(TypeError, match="takes an exception, not 'text'"):
        scope.report_error("text")  # type: ignore[arg-type]  # wrong use
    scope.report_error(ValueError("told"))
    assert "ValueError: told" in capfd.readouterr().err
