"""
What the tests of the Web's objects share: a reactor and an events thread that end with their test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.link.conftest import reactor as reactor
from webworker_executor.web.events import EventsThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.link.reactor import Reactor


@pytest.fixture
def events(reactor: Reactor) -> Iterator[EventsThread]:
    """
    Run an events thread until the end of the test.
    """
    events = EventsThread(reactor)
    yield events
    events.stop()
