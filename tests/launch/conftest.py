"""
What the tests of launchers share: a reactor, and each launcher in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.launch.peer import Peer, Program, make_launcher
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.link.reactor import Reactor


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
