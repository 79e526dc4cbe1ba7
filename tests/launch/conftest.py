"""
What the tests of launchers share: a reactor, and each launcher in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.launch.peer import Peer, Program
from webworker_executor.launch.fork import ForkLauncher
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.link.reactor import Reactor


def make_launcher(name: str) -> Launcher:
    """
    Make the launcher of this name.
    """
    if name == "spawn":
        return SpawnLauncher()
    if name == "zygote":
        return ZygoteLauncher()
    return ForkLauncher(host.is_own_thread)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """
    Run the host's reactor, which a forked worker lets go of as it does in a program.
    """
    program = Program()
    reactor, _ = host.acquire(program)
    yield reactor
    host.release(program)
    reactor.join()


@pytest.fixture
def start(launcher: str, reactor: Reactor) -> Callable[..., Peer]:
    """
    Start a worker in each way in turn; to be used in a `with` statement.
    """
    return lambda **hello: Peer(make_launcher(launcher), reactor, **hello)
