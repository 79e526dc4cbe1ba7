"""
Tests of `webworker_executor.child.identity`: multiprocessing is told when, and if, it comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.child import tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.launch.peer import Peer

NAME = "__import__('multiprocessing').current_process().name"
KEY = "bytes(__import__('multiprocessing').current_process().authkey)"
FINDERS = "[type(finder).__name__ for finder in sys.meta_path].count('IdentityFinder')"


def test_identity_of_a_worker(start: Callable[..., Peer]) -> None:
    """
    Once multiprocessing is imported, it has the worker's name and the host's key.
    """
    with start(index=2, authkey=b"secret") as peer:
        assert "WebWorker-2" == peer.ready().run(tasks.evaluate, NAME)
        assert b"secret" == peer.run(tasks.evaluate, KEY)


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
