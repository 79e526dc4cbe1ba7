"""
Tests of `webworker_executor.child.identity`: multiprocessing is told when, and if, it comes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.child import tasks
from webworker_executor.link.fds import send_fds
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import TRACKER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.launch.peer import Peer

NAME = "__import__('multiprocessing').current_process().name"
PROCESS = "__import__('multiprocessing').current_process()"
PARENT = "__import__('multiprocessing').parent_process()"
METHOD = "__import__('multiprocessing').get_start_method(allow_none=True)"
KEY = "bytes(__import__('multiprocessing').current_process().authkey)"
TRACKER_MODULE = "__import__('multiprocessing.resource_tracker').resource_tracker"
FINDERS = "[type(finder).__name__ for finder in sys.meta_path].count('IdentityFinder')"


def test_identity_of_a_worker(start: Callable[..., Peer]) -> None:
    """
    Once multiprocessing is imported, it has the worker's name and number, and the host's key and
    way to start processes.
    """
    host = {"pid": os.getpid(), "name": "Program", "identity": (7,), "start_method": "forkserver"}
    with start(index=2, multiprocessing={**host, "authkey": b"secret"}) as peer:
        assert "WebWorker-2" == peer.ready().run(tasks.evaluate, NAME)
        assert b"secret" == peer.run(tasks.evaluate, KEY)
        assert (7, 3) == peer.run(tasks.evaluate, f"{PROCESS}._identity")
        assert os.getpid() == peer.run(tasks.evaluate, f"{PROCESS}._parent_pid")
        assert not peer.run(tasks.evaluate, f"{PROCESS}.daemon")
        assert "forkserver" == peer.run(tasks.evaluate, METHOD)


def test_the_parent_of_a_worker_is_its_host(peer: Peer) -> None:
    """
    Also where another process, the zygote, has forked it; and its end can be waited for.
    """
    assert "MainProcess" == peer.run(tasks.evaluate, f"{PARENT}.name")
    assert os.getpid() == peer.run(tasks.evaluate, f"{PARENT}.pid")
    assert peer.run(tasks.evaluate, f"{PARENT}.is_alive()")
    assert peer.run(tasks.evaluate, f"{PARENT}.join(0)") is None
    assert peer.run(tasks.evaluate, METHOD) is None


def test_processes_of_a_worker_are_named_after_it(peer: Peer) -> None:
    """
    As those of the standard library's workers.
    """
    made = "__import__('multiprocessing').Process()"
    assert "Process-1:1" == peer.run(tasks.evaluate, f"{made}.name")


def test_worker_without_a_key(peer: Peer) -> None:
    """
    Where the host has no key, multiprocessing makes one of its own.
    """
    assert "WebWorker-0" == peer.run(tasks.evaluate, NAME)
    assert len(peer.run(tasks.evaluate, KEY)) > 0


def test_finder_waits_and_leaves(peer: Peer) -> None:
    """
    The finder imports nothing by itself, steps in once, and is gone after that.
    """
    assert not peer.run(tasks.evaluate, "'multiprocessing' in sys.modules")
    assert 1 == peer.run(tasks.evaluate, FINDERS)
    assert not peer.run(tasks.evaluate, "__import__('colorsys') is None")
    assert 1 == peer.run(tasks.evaluate, FINDERS)
    peer.run(tasks.evaluate, NAME)
    assert 0 == peer.run(tasks.evaluate, FINDERS)


def test_module_is_the_usual_one(peer: Peer) -> None:
    """
    `multiprocessing.process` is found where anybody would have found it.
    """
    origin = "__import__('multiprocessing.process').process.__spec__.origin"
    from multiprocessing import process

    assert process.__file__ == peer.run(tasks.evaluate, origin)


def test_tracker_is_the_hosts(peer: Peer) -> None:
    """
    Whoever needs a resource tracker gets the one that the host sends, which is asked once.
    """
    assert peer.run(tasks.evaluate, f"{TRACKER_MODULE}._resource_tracker._fd") is None
    reader, writer = os.pipe()
    try:
        peer.call(1, tasks.evaluate, f"{TRACKER_MODULE}.register('/it', 'noop')")
        assert TRACKER == peer.next_frame().kind
        (frame,) = encode(TRACKER, 0, n_fds=1)
        send_fds(peer.control, bytes(frame), [writer])
        assert peer.answer(1) is None
        assert b"REGISTER:/it:noop\n" in os.read(reader, 1000)
        assert type(peer.run(tasks.evaluate, f"{TRACKER_MODULE}.getfd()")) is int
    finally:
        os.close(reader)
        os.close(writer)


def test_tracker_of_its_own(peer: Peer) -> None:
    """
    Where the host has none to give, the worker starts one as any process would.
    """
    peer.call(1, tasks.evaluate, f"{TRACKER_MODULE}.ensure_running()")
    assert TRACKER == peer.next_frame().kind
    (frame,) = encode(TRACKER, 0)
    peer.control.sendall(frame)
    assert peer.answer(1) is None
    assert type(peer.run(tasks.evaluate, f"{TRACKER_MODULE}._resource_tracker._pid")) is int
