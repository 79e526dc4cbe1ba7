"""
Tests of `webworker_executor.link.journal`: handlers of the program's logging run in a lent thread.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from webworker_executor.link.journal import Journal, tell_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "webworker_executor.link"


@pytest.fixture
def calls() -> Iterator[list[Callable[[], object]]]:
    """
    Take calls instead of the events thread.
    """
    taken: list[Callable[[], object]] = []
    tell_on(taken.append)
    yield taken
    tell_on(None)


def test_handlers_run_where_calls_are_taken(
    calls: list[Callable[[], object]], caplog: pytest.LogCaptureFixture
) -> None:
    """
    Not before, and in order.
    """
    journal = Journal(NAME)
    caplog.set_level(logging.DEBUG, NAME)
    journal.debug("one of %d", 4)
    journal.info("two")
    journal.warning("three")
    journal.exception("four", ValueError("no"))
    assert [] == caplog.records
    for call in calls:
        call()
    assert ["one of 4", "two", "three", "four"] == [r.getMessage() for r in caplog.records]
    levels = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR]
    assert levels == [record.levelno for record in caplog.records]
    assert "ValueError: no" in caplog.text


def test_what_nobody_wants_is_no_call(calls: list[Callable[[], object]]) -> None:
    """
    A record below the logger's level costs nothing.
    """
    Journal(NAME).debug("nothing")
    assert [] == calls


def test_without_a_thread_it_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """
    As in a worker, and after the last user of the host has left.
    """
    Journal(NAME).warning("now")
    assert ["now"] == caplog.messages
