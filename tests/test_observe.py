"""
Tests of `webworker_executor.observe`: records of what happened.
"""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from webworker_executor import PoolEvent
from webworker_executor.observe import KINDS, WORKER_EXITED

if TYPE_CHECKING:
    from collections.abc import Callable


def test_an_event_tells_what_happened() -> None:
    """
    All that was given is there, and what was not given is None.
    """
    event = PoolEvent(WORKER_EXITED, "worker 1 left", 12.5, worker=1, pid=7, was_asked=True)
    assert ("worker_exited", "worker 1 left", 12.5) == (event.kind, event.text, event.time)
    assert (1, 7, True) == (event.worker, event.pid, event.was_asked)
    assert (None, None, None) == (event.exitcode, event.signal_name, event.task)
    assert "<PoolEvent worker_exited: worker 1 left>" == repr(event)


def test_an_event_cannot_be_changed() -> None:
    """
    What has happened has happened, for every observer.
    """
    event = PoolEvent(WORKER_EXITED, "worker 1 left", 12.5)
    with pytest.raises(AttributeError, match="cannot be changed"):
        event.kind = "worker_started"
    with pytest.raises(AttributeError, match="cannot be changed"):
        del event.text
    assert "worker_exited" == event.kind


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda event: pickle.loads(pickle.dumps(event))]
)
def test_an_event_can_be_copied_and_sent(again: Callable[[PoolEvent], PoolEvent]) -> None:
    """
    To another process, or into a file: with all that it tells.
    """
    event = PoolEvent(WORKER_EXITED, "worker 1 died", 12.5, worker=1, pid=7, exitcode=-9)
    other = again(event)
    assert event is not other
    values = [[getattr(each, name) for name in PoolEvent.__slots__] for each in (event, other)]
    assert values[0] == values[1]


def test_an_event_can_be_matched_by_its_kind() -> None:
    """
    A program may tell events apart with a match statement.
    """
    match PoolEvent(WORKER_EXITED, "worker 1 left", 12.5, pid=7):
        case PoolEvent("worker_exited", pid=pid):
            assert 7 == pid
        case _:
            pytest.fail("not matched")


def test_every_kind_is_documented() -> None:
    """
    The docstring names all there are.
    """
    assert [] == [kind for kind in KINDS if f'``"{kind}"``' not in (PoolEvent.__doc__ or "")]
