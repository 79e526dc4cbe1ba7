"""
Tests of `webworker_executor.web.target`: who is called when something happens.
"""

from __future__ import annotations

import functools
import gc
import logging
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.link.interrupts import broken_off
from tests.threads import run_together
from webworker_executor.errors import InvalidStateError
from webworker_executor.web.abort import AbortController, AbortSignal
from webworker_executor.web.event import ErrorEvent, Event
from webworker_executor.web.target import EventHandler, EventTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.script import ScriptRunner
    from webworker_executor.web.listener import Callback


class Target(EventTarget):
    """
    A target that notes what it is told.
    """

    onmessage = EventHandler("message")
    onerror = EventHandler("error")

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[object, ...]] = []

    def _handler_set(self, type: str) -> None:
        self.told.append(("handler set", type))

    def _listeners_changed(self, type: str) -> None:
        self.told.append(("changed", type, self._has_listeners(type)))

    def _report(self, exc: Exception) -> None:
        self.told.append(("report", exc))


class Notes(list[str]):
    """
    Listeners by name, and the order in which they were called.
    """

    def by(self, name: str, do: Callable[[], object] = lambda: None) -> Callable[[Event], None]:
        """
        Make a listener that notes its name and then does something.
        """

        def listener(event: Event) -> None:
            self.append(name)
            do()

        return listener


class Handling:
    """
    A listener that is no callable.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def handle_event(self, event: Event) -> None:
        self.events.append(event)


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def notes() -> Notes:
    return Notes()


def fire(target: EventTarget, type: str = "custom") -> bool:
    return target.dispatch_event(Event(type, cancelable=True))


# -- dispatch


def test_case_89_custom_events_reach_listeners(target: Target) -> None:
    """
    Listeners of the type are called with the event, which knows where it is, and no others are.
    """
    event = Event("custom")
    seen: list[tuple[object, ...]] = []

    def listener(event: Event) -> None:
        seen.append((event, event.target, event.current_target))

    target.add_event_listener("custom", listener)
    target.add_event_listener("other", pytest.fail)
    assert target.dispatch_event(event)
    assert [(event, target, target)] == seen
    assert (target, None) == (event.target, event.current_target)


def test_case_89_removed_during_dispatch(target: Target, notes: Notes) -> None:
    """
    A listener that another one removes before its turn is not called; one after its turn was.
    """
    second = notes.by("second")
    target.add_event_listener(
        "custom", notes.by("first", lambda: target.remove_event_listener("custom", second))
    )
    target.add_event_listener("custom", second)
    fire(target)
    assert ["first"] == notes


def test_case_89_removes_itself(target: Target, notes: Notes) -> None:
    """
    A listener that removes itself is called once, and the next one is not skipped.
    """

    def listener(event: Event) -> None:
        notes.append("itself")
        target.remove_event_listener("custom", listener)

    target.add_event_listener("custom", listener)
    target.add_event_listener("custom", notes.by("next"))
    fire(target)
    fire(target)
    assert ["itself", "next", "next"] == notes


def test_case_89_once(target: Target, notes: Notes) -> None:
    """
    A listener with `once` is removed before its call: a dispatch inside does not call it again.
    """
    target.add_event_listener("custom", notes.by("once", lambda: fire(target)), once=True)
    fire(target)
    fire(target)
    assert ["once"] == notes


def test_case_89_duplicates(target: Target, notes: Notes) -> None:
    """
    The same listener is added once for a type, in its first place, and is removed at once.
    """
    first = notes.by("first")
    target.add_event_listener("custom", first)
    target.add_event_listener("custom", notes.by("second"))
    target.add_event_listener("custom", first)
    target.add_event_listener("other", first)
    fire(target)
    assert ["first", "second"] == notes
    target.remove_event_listener("custom", first)
    fire(target)
    assert ["first", "second", "second"] == notes


def test_case_89_raising(target: Target, notes: Notes) -> None:
    """
    What a listener raises is reported, and neither the next one nor the caller notices.
    """
    error = LookupError("a bug")

    def fail() -> None:
        raise error

    target.add_event_listener("custom", notes.by("first", fail))
    target.add_event_listener("custom", notes.by("second"))
    assert fire(target)
    assert ["first", "second"] == notes
    assert ("report", error) == target.told[-1]


def test_failing_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """
    Where no class decides otherwise, a failure is logged with its traceback.
    """
    target = EventTarget()
    target.add_event_listener("custom", lambda event: 1 / 0)
    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        fire(target)
    (record,) = caplog.records
    assert "webworker_executor.web" == record.name
    assert record.exc_info is not None
    assert ZeroDivisionError is record.exc_info[0]


def test_interrupts_get_through(target: Target, notes: Notes) -> None:
    """
    Ctrl-C in a listener ends the dispatch for the caller, after the other listeners had their turn.
    """

    def interrupt() -> None:
        raise KeyboardInterrupt

    event = Event("custom")
    target.add_event_listener("custom", notes.by("first", interrupt))
    target.add_event_listener("custom", notes.by("second"))
    with pytest.raises(KeyboardInterrupt):
        target.dispatch_event(event)
    assert ["first", "second"] == notes
    assert None is event.current_target


def test_order_of_addition(target: Target, notes: Notes) -> None:
    """
    Listeners run in the order in which they were added; one added anew goes to the end.
    """
    listeners = {name: notes.by(name) for name in "abcd"}
    for listener in listeners.values():
        target.add_event_listener("custom", listener)
    target.remove_event_listener("custom", listeners["b"])
    target.add_event_listener("custom", listeners["b"])
    fire(target)
    assert [*"acdb"] == notes


def test_added_during_dispatch(target: Target, notes: Notes) -> None:
    """
    A listener that is added during a dispatch is called from the next one on.
    """
    added = notes.by("added")
    target.add_event_listener(
        "custom", notes.by("first", lambda: target.add_event_listener("custom", added))
    )
    fire(target)
    assert ["first"] == notes
    fire(target)
    assert ["first", "first", "added"] == notes


def test_removed_and_added_during_dispatch(target: Target, notes: Notes) -> None:
    """
    A listener that is removed and added anew during a dispatch is a new one.
    """
    second = notes.by("second")

    def renew() -> None:
        target.remove_event_listener("custom", second)
        target.add_event_listener("custom", second)

    target.add_event_listener("custom", notes.by("first", renew), once=True)
    target.add_event_listener("custom", second)
    fire(target)
    assert ["first"] == notes
    fire(target)
    assert ["first", "second"] == notes


def test_once_keeps_the_first_options(target: Target, notes: Notes) -> None:
    """
    Adding a listener again does not change whether it is called once.
    """
    always, once = notes.by("always"), notes.by("once")
    target.add_event_listener("custom", always)
    target.add_event_listener("custom", always, once=True)
    target.add_event_listener("custom", once, once=True)
    target.add_event_listener("custom", once)
    fire(target)
    fire(target)
    assert ["always", "once", "always"] == notes


def test_once_waits_for_its_turn(target: Target, notes: Notes) -> None:
    """
    A listener with `once` that an event did not reach is called for the next one.
    """
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        event.stop_immediate_propagation()

    target.add_event_listener("custom", stop, once=True)
    target.add_event_listener("custom", notes.by("second"), once=True)
    fire(target)
    assert (1, []) == (len(events), notes)
    fire(target)
    fire(target)
    assert ["second"] == notes


def test_stopped_before_dispatch(target: Target, notes: Notes) -> None:
    """
    An event that was stopped before calls nobody; after that it is as good as new.
    """
    event = Event("custom")
    target.add_event_listener("custom", notes.by("listener"))
    event.stop_immediate_propagation()
    assert target.dispatch_event(event)
    assert [] == notes
    assert target.dispatch_event(event)
    assert ["listener"] == notes


def test_prevented_default_is_told(target: Target) -> None:
    """
    `dispatch_event` is false when a listener has prevented the default of a cancelable event.
    """
    target.add_event_listener("custom", lambda event: event.prevent_default())
    assert not target.dispatch_event(Event("custom", cancelable=True))
    assert target.dispatch_event(Event("custom"))


def test_answer_of_a_listener_is_ignored(target: Target) -> None:
    """
    Only handlers prevent anything by what they return.
    """
    target.add_event_listener("custom", lambda event: False)
    assert fire(target)


def test_dispatched_event_cannot_be_dispatched(target: Target, notes: Notes) -> None:
    """
    An event under way is refused, at any target, and the dispatch under way goes on.
    """
    event = Event("custom")
    errors: list[InvalidStateError] = []

    def again() -> None:
        for place in (target, EventTarget()):
            with pytest.raises(InvalidStateError, match="is being dispatched already") as caught:
                place.dispatch_event(event)
            errors.append(caught.value)

    target.add_event_listener("custom", notes.by("first", again))
    target.add_event_listener("custom", notes.by("second"))
    target.dispatch_event(event)
    assert (2, ["first", "second"]) == (len(errors), notes)
    assert target is event.target


def test_event_can_be_dispatched_again(target: Target, notes: Notes) -> None:
    """
    One event may happen several times, one after another, in several places.
    """
    event = Event("custom")
    other = EventTarget()
    for place in (target, other):
        place.add_event_listener("custom", notes.by("listener"))
        place.dispatch_event(event)
        assert place is event.target
    assert ["listener"] * 2 == notes


def test_another_event_inside(target: Target, notes: Notes) -> None:
    """
    A listener may dispatch other events, which are over when it goes on.
    """
    target.add_event_listener("inner", notes.by("inner"))
    target.add_event_listener("custom", notes.by("outer", lambda: fire(target, "inner")))
    target.add_event_listener("custom", notes.by("end"))
    fire(target)
    assert ["outer", "inner", "end"] == notes


def test_only_events_are_dispatched(target: Target) -> None:
    """
    Wrong use is told at the call, with what is wanted.
    """
    with pytest.raises(TypeError, match=r"takes an Event, not str; make one with Event\(type\)"):
        target.dispatch_event("custom")  # type: ignore[arg-type]  # the wrong use under test


# -- callbacks


def test_handle_event_is_called(target: Target) -> None:
    """
    An object with a method `handle_event` is a listener.
    """
    listener = Handling()
    event = Event("custom")
    target.add_event_listener("custom", listener)
    target.add_event_listener("custom", listener)
    target.dispatch_event(event)
    assert [event] == listener.events
    target.remove_event_listener("custom", listener)
    target.dispatch_event(event)
    assert [event] == listener.events


def test_handle_event_is_looked_up_each_time(target: Target, notes: Notes) -> None:
    """
    The method may be replaced between two events; when it is gone, that is reported.
    """
    listener = Handling()
    target.add_event_listener("custom", listener)
    vars(listener)["handle_event"] = notes.by("replaced")
    fire(target)
    assert ["replaced"] == notes
    vars(listener)["handle_event"] = "no method"
    fire(target)
    kind, error = target.told[-1]
    assert ("report", TypeError) == (kind, type(error))


def test_callable_comes_first(target: Target, notes: Notes) -> None:
    """
    What can be called is called, whatever methods it has.
    """

    class Both:
        def __call__(self, event: Event) -> None:
            notes.append("called")

        def handle_event(self, event: Event) -> None:
            notes.append("handled")

    target.add_event_listener("custom", Both())
    fire(target)
    assert ["called"] == notes


def test_methods_are_removed(target: Target) -> None:
    """
    A method is found again, although each look at it makes a new object.
    """
    seen: list[Event] = []
    handling = Handling()
    for listener in (seen.append, handling.handle_event):
        target.add_event_listener("custom", listener)
    for listener in (seen.append, handling.handle_event):
        target.remove_event_listener("custom", listener)
    fire(target)
    assert ([], []) == (seen, handling.events)


def test_none_is_no_listener(target: Target) -> None:
    """
    Adding and removing `None` does nothing, as on the Web.
    """
    target.add_event_listener("custom", None)
    target.remove_event_listener("custom", None)
    assert fire(target)
    assert [] == target.told


def test_listener_must_be_callable(target: Target) -> None:
    """
    Wrong use is told at the call, with what is wanted.
    """
    with pytest.raises(TypeError, match=r"must be callable or have a method handle_event\(event\)"):
        target.add_event_listener("custom", "print")  # type: ignore[arg-type]  # wrong use


# -- signals


@pytest.mark.parametrize("callback", [print, None])
def test_what_is_no_signal(target: Target, callback: Callback | None) -> None:
    """
    Wrong use is told at the call, also where there is nothing to be added.
    """
    with pytest.raises(TypeError, match=r"must be an AbortSignal, not .*; of a controller, give"):
        target.add_event_listener("custom", callback, signal=AbortController())  # type: ignore[arg-type]  # wrong use
    assert not target._has_listeners("custom")


def test_signal_removes(target: Target, notes: Notes) -> None:
    """
    The abort of its signal removes a listener; several may share the signal.
    """
    controller = AbortController()
    for name in ("first", "second"):
        target.add_event_listener("custom", notes.by(name), signal=controller.signal)
    target.add_event_listener("custom", notes.by("third"))
    fire(target)
    controller.abort()
    fire(target)
    assert ["first", "second", "third", "third"] == notes


def test_aborted_signal_adds_nothing(target: Target) -> None:
    """
    With a signal that has aborted nothing is added.
    """
    target.add_event_listener("custom", pytest.fail, signal=AbortSignal.abort())
    assert fire(target)
    assert [] == target.told


def test_signal_and_once(target: Target, notes: Notes) -> None:
    """
    A listener with both options ends with what comes first.
    """
    controller = AbortController()
    target.add_event_listener("custom", notes.by("called"), once=True, signal=controller.signal)
    target.add_event_listener("other", notes.by("other"), once=True, signal=controller.signal)
    fire(target)
    fire(target)
    controller.abort()
    fire(target, "other")
    assert ["called"] == notes


def test_signal_and_removal(target: Target, notes: Notes) -> None:
    """
    A listener that was removed by hand and added anew without a signal outlives the signal.
    """
    controller = AbortController()
    listener = notes.by("listener")
    target.add_event_listener("custom", listener, signal=controller.signal)
    target.remove_event_listener("custom", listener)
    fire(target)
    assert [] == notes
    target.add_event_listener("custom", listener)
    controller.abort()
    fire(target)
    assert ["listener"] == notes


def test_signal_aborts_during_dispatch(target: Target, notes: Notes) -> None:
    """
    A listener that aborts the signal of later ones keeps them from being called.
    """
    controller = AbortController()

    def add_and_abort() -> None:
        target.add_event_listener("custom", notes.by("added"), signal=controller.signal)
        controller.abort()

    target.add_event_listener("custom", notes.by("first", add_and_abort))
    target.add_event_listener("custom", notes.by("second"), signal=controller.signal)
    fire(target)
    fire(target)
    assert ["first", "first"] == notes


def test_signal_aborts_in_a_nested_listener(target: Target, notes: Notes) -> None:
    """
    The abort reaches the listeners of the dispatch outside.
    """
    controller = AbortController()
    target.add_event_listener("inner", notes.by("inner", controller.abort))
    target.add_event_listener("custom", notes.by("outer", lambda: fire(target, "inner")))
    target.add_event_listener("custom", notes.by("last"), signal=controller.signal)
    fire(target)
    assert ["outer", "inner"] == notes


def test_signal_does_not_keep_the_target() -> None:
    """
    A signal that lives long keeps neither a target that is gone nor what listened there.
    """
    controller = AbortController()
    target, listener = EventTarget(), Handling()
    target.add_event_listener("custom", listener, signal=controller.signal)
    gone = weakref.ref(target), weakref.ref(listener)
    del target, listener
    gc.collect()
    assert (None, None) == (gone[0](), gone[1]())
    assert {} == controller.signal._followers
    controller.abort()


def test_signal_forgets_removed_listeners(target: Target, notes: Notes) -> None:
    """
    A listener that came and went leaves nothing in its signal.
    """
    controller = AbortController()
    for _ in range(3):
        listener = notes.by("listener")
        target.add_event_listener("custom", listener, signal=controller.signal)
        target.remove_event_listener("custom", listener)
        target.add_event_listener("custom", listener, signal=controller.signal, once=True)
        fire(target)
    del listener
    assert {} == controller.signal._followers


# -- handlers


@pytest.mark.parametrize("value", [None, 1, "print", object()])
def test_case_88_handler_that_is_no_callback(target: Target, value: Callback | None) -> None:
    """
    Setting a handler to something that cannot be called stores `None`.
    """
    assert None is target.onmessage
    target.onmessage = pytest.fail
    target.onmessage = value
    assert None is target.onmessage
    fire(target, "message")


def test_case_88_handler_with_handle_event(target: Target) -> None:
    """
    Setting a handler to an object with a method `handle_event` calls that.
    """
    handler = Handling()
    target.onmessage = handler
    assert handler is target.onmessage
    fire(target, "message")
    assert 1 == len(handler.events)


def test_handler_keeps_its_place(target: Target, notes: Notes) -> None:
    """
    A handler is called in the place where it was first set, also when it is replaced.
    """
    target.add_event_listener("message", notes.by("before"))
    target.onmessage = notes.by("first")
    target.add_event_listener("message", notes.by("after"))
    target.onmessage = notes.by("second")
    fire(target, "message")
    assert ["before", "second", "after"] == notes


def test_handler_set_to_none_gives_its_place_up(target: Target, notes: Notes) -> None:
    """
    A handler that was `None` for a while goes to the end.
    """
    target.onmessage = notes.by("handler")
    target.add_event_listener("message", notes.by("listener"))
    target.onmessage = None
    target.onmessage = notes.by("handler")
    fire(target, "message")
    assert ["listener", "handler"] == notes


def test_handler_replaced_during_dispatch(target: Target, notes: Notes) -> None:
    """
    Whatever the handler is when its turn comes is called.
    """

    def replace() -> None:
        target.onmessage = notes.by("new")

    target.add_event_listener("message", notes.by("first", replace))
    target.onmessage = notes.by("old")
    fire(target, "message")
    assert ["first", "new"] == notes


def test_handler_renewed_during_dispatch(target: Target, notes: Notes) -> None:
    """
    A handler that was `None` in between is a new one, and waits for the next event.
    """

    def renew() -> None:
        target.onmessage = None
        target.onmessage = notes.by("new")

    target.add_event_listener("message", notes.by("first", renew), once=True)
    target.onmessage = notes.by("old")
    fire(target, "message")
    assert ["first"] == notes
    fire(target, "message")
    assert ["first", "new"] == notes


def test_handler_and_listener_are_two(target: Target, notes: Notes) -> None:
    """
    The same function as handler and as listener is called twice, and each goes by itself.
    """
    listener = notes.by("called")
    target.onmessage = listener
    target.add_event_listener("message", listener)
    fire(target, "message")
    assert ["called"] * 2 == notes
    target.remove_event_listener("message", listener)
    assert listener is target.onmessage
    fire(target, "message")
    assert ["called"] * 3 == notes


def test_handlers_of_two_targets(target: Target) -> None:
    """
    A handler belongs to one target; the class gives the attribute itself.
    """
    other = Target()
    target.onmessage = print
    assert (print, None, None) == (target.onmessage, other.onmessage, target.onerror)
    assert isinstance(Target.onmessage, EventHandler)


def test_answer_of_a_handler(target: Target) -> None:
    """
    `False` prevents the default, and of an error `True` does: it has been handled.
    """
    target.onmessage = lambda event: False
    assert not fire(target, "message")
    target.onerror = lambda event: True
    assert not target.dispatch_event(ErrorEvent("bad"))
    target.onerror = lambda event: False
    assert target.dispatch_event(ErrorEvent("bad"))


def test_failing_handler_is_reported(target: Target, notes: Notes) -> None:
    """
    What a handler raises is reported like a listener's.
    """
    target.onmessage = lambda event: [][0]
    target.add_event_listener("message", notes.by("next"))
    assert fire(target, "message")
    kind, error = target.told[-1]
    assert ("report", IndexError, ["next"]) == (kind, type(error), notes)


def test_subclasses_are_told(target: Target) -> None:
    """
    A subclass learns of handlers that are set, and of every change of the list.

    Also of what may be none: whoever adds or removes once more may have been broken off before.
    """
    target.onmessage = print
    target.onmessage = repr
    target.onmessage = None
    target.onmessage = None
    target.add_event_listener("custom", print)
    target.add_event_listener("custom", print)
    target.add_event_listener("custom", repr, once=True)
    fire(target)
    target.remove_event_listener("custom", print)
    assert [
        ("changed", "message", True),
        ("handler set", "message"),
        ("handler set", "message"),
        ("changed", "message", False),
        ("changed", "message", False),
        ("changed", "custom", True),
        ("changed", "custom", True),
        ("changed", "custom", True),
        ("changed", "custom", True),
        ("changed", "custom", False),
    ] == target.told


# -- imports

NEW_MODULES = """
import __future__, sys
before = set(sys.modules)
import webworker_executor.web.{module}
print(*sorted(name for name in set(sys.modules) - before if "webworker" not in name))
"""


@pytest.mark.parametrize("module", ["target", "abort", "derived"])
def test_a_worker_can_afford_it(run_script: ScriptRunner, module: str) -> None:
    """
    What a worker needs for events and signals loads nothing of the standard library.
    """
    done = run_script(NEW_MODULES.format(module=module), options=["-S"])
    assert ("", "\n") == (done.stderr, done.stdout)


# -- threads


def test_once_in_two_threads(target: Target) -> None:
    """
    A listener with `once` is called once, however many threads dispatch at the same time.
    """
    for _ in range(50):
        seen: list[Event] = []
        target.add_event_listener("custom", seen.append, once=True)
        run_together(*[lambda: fire(target)] * 3)
        assert 1 == len(seen)


def test_additions_in_many_threads() -> None:
    """
    No listener is lost when threads add and remove others at the same time.
    """
    target = EventTarget()
    seen: list[int] = []

    def work(number: int) -> None:
        for _ in range(100):
            passing: list[Event] = []
            target.add_event_listener("custom", passing.append)
            target.remove_event_listener("custom", passing.append)
        target.add_event_listener("custom", lambda event: seen.append(number))

    run_together(*[functools.partial(work, number) for number in range(4)])
    fire(target)
    assert [0, 1, 2, 3] == sorted(seen)


def test_found_again_is_put_back() -> None:
    """
    Who removes one entry leaves another one of the same callback in the list.
    """
    target = EventTarget()
    seen: list[Event] = []
    target.add_event_listener("custom", seen.append)
    (old,) = target._listeners["custom"].values()
    # As if it were removed and added anew between the two steps of another thread.
    target._listeners["custom"].clear()
    target.add_event_listener("custom", seen.append)
    assert not target._discard(old)
    fire(target)
    assert 1 == len(seen)


def test_stopping_the_propagation_stops_no_listener() -> None:
    """
    An event that shall not rise is still heard by the other listeners of its target.
    """
    target = EventTarget()
    heard: list[str] = []
    target.add_event_listener("custom", lambda event: event.stop_propagation())
    target.add_event_listener("custom", lambda event: heard.append(event.type))
    target.dispatch_event(Event("custom"))
    assert ["custom"] == heard


def test_adding_that_was_broken_off_is_made_good() -> None:
    """
    Wherever a signal handler has raised, a listener that is added once more ends with its signal.
    """
    heard: list[Event] = []
    targets = [EventTarget()]
    controllers = [AbortController()]

    def add() -> None:
        targets[-1].add_event_listener("x", heard.append, signal=controllers[-1].signal)

    for _ in broken_off(add):
        add()
        targets[-1].dispatch_event(Event("x"))
        assert 1 == len(heard)
        heard.clear()
        controllers[-1].abort()
        targets[-1].dispatch_event(Event("x"))
        assert not heard
        targets.append(EventTarget())
        controllers.append(AbortController())


def test_removing_that_was_broken_off_is_made_good() -> None:
    """
    Wherever a signal handler has raised, a subclass learns of it from who removes once more.
    """
    targets: list[Target] = []

    def renew() -> None:
        targets.append(Target())
        targets[-1].onmessage = print
        targets[-1].told.clear()

    def remove() -> None:
        targets[-1].onmessage = None

    renew()
    for _ in broken_off(remove):
        remove()
        assert ("changed", "message", False) == targets[-1].told[-1]
        renew()
