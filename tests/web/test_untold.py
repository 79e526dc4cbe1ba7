"""
Tests of `webworker_executor.web.untold`: each listener of an abort is told once.

Wherever a signal handler raises: see ``test_abort``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from webworker_executor.web.abort import AbortController

if TYPE_CHECKING:
    from webworker_executor.web.event import Event
    from webworker_executor.web.untold import Untold


@pytest.fixture
def controller() -> AbortController:
    return AbortController()


def test_who_ends_the_program_has_been_told(controller: AbortController) -> None:
    """As what it raised is its own, the next abort does not call it again; and nobody is left."""
    told: list[str] = []

    def end(event: Event) -> None:
        told.append("first")
        raise SystemExit

    controller.signal.onabort = end
    controller.signal.add_event_listener("abort", lambda event: told.append("second"), once=True)
    with pytest.raises(SystemExit):
        controller.abort()
    controller.abort()
    untold: Untold = controller.signal._facts["untold"]  # type: ignore[assignment]  # what it is
    assert (["first", "second"], False) == (told, bool(untold))


@pytest.mark.parametrize("how", ["stopped", "removed"])
def test_who_is_kept_from_it_is_not_told_later(controller: AbortController, how: str) -> None:
    """By a listener that stops the event, or removes those that come after it."""
    told: list[str] = []

    def last(event: Event) -> None:
        told.append("last")

    def keep(event: Event) -> None:
        told.append("first")
        if how == "stopped":
            event.stop_immediate_propagation()
        else:
            controller.signal.remove_event_listener("abort", last)

    controller.signal.onabort = keep
    controller.signal.add_event_listener("abort", last)
    controller.abort()
    controller.abort()
    assert ["first"] == told


def test_the_event_may_be_dispatched_again(controller: AbortController) -> None:
    """Whoever listens then hears of it, as of any other event."""
    heard: list[Event] = []
    controller.signal.add_event_listener("abort", heard.append)
    controller.abort()
    controller.signal.dispatch_event(heard[0])
    assert heard[0] is heard[1]
    assert 2 == len(heard)
