"""
What the tests of worker processes share: a worker that a scripted host drives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.launch.conftest import reactor as reactor
from tests.launch.conftest import start as start
from tests.launch.peer import Peer
from webworker_executor.launch.spawn import SpawnLauncher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.link.reactor import Reactor


@pytest.fixture
def peer(reactor: Reactor) -> Iterator[Peer]:
    """
    Start a worker in a fresh interpreter, ready for tasks.
    """
    with Peer(SpawnLauncher(), reactor) as peer:
        yield peer.ready()
