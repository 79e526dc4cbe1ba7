"""
Tests of `webworker_executor.web.derived`: signals that follow others, and signals that follow time.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from webworker_executor.web.abort import AbortController, AbortSignal
from webworker_executor.web.target import EventTarget
from webworker_executor.web.timer import timers

if TYPE_CHECKING:
    from webworker_executor.web.event import Event


LIMIT = 10.0


@pytest.fixture
def controllers() -> list[AbortController]:
    return [AbortController() for _ in range(3)]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Inbox[Callable[[], object]]:
    """
    Hold up calls that are due, until the test makes them.
    """
    inbox = Inbox[Callable[[], object]]()
    monkeypatch.setattr(timers, "_deliver", inbox)
    return inbox


def is_gone(reference: weakref.ref[AbortSignal]) -> bool:
    gc.collect()
    return reference() is None


# -- any


def test_case_149_any_takes_the_first_reason(controllers: list[AbortController]) -> None:
    """
    The first of several to abort gives the reason, and the event fires once.
    """
    seen: list[Event] = []
    signal = AbortSignal.any([controller.signal for controller in controllers])
    signal.onabort = seen.append
    assert not signal.aborted
    controllers[1].abort("one")
    controllers[0].abort("zero")
    assert (True, "one", [signal]) == (
        signal.aborted,
        signal.reason,
        [event.target for event in seen],
    )


def test_any_of_none() -> None:
    """
    Of no signals is made one that never aborts.
    """
    assert not AbortSignal.any([]).aborted


def test_any_of_an_aborted_one(controllers: list[AbortController]) -> None:
    """
    Of several that have aborted the first one listed gives the reason, and no event fires.
    """
    controllers[2].abort("two")
    controllers[1].abort("one")
    signal = AbortSignal.any(controller.signal for controller in controllers)
    signal.onabort = pytest.fail
    assert ("one", controllers[1].signal.reason) == (signal.reason, signal.reason)
    controllers[0].abort("zero")
    assert "one" == signal.reason


def test_any_shares_the_reason(controllers: list[AbortController]) -> None:
    """
    The default reason is the same object everywhere.
    """
    before = AbortSignal.any([controllers[0].signal])
    controllers[0].abort()
    after = AbortSignal.any([controllers[0].signal])
    assert controllers[0].signal.reason is before.reason
    assert controllers[0].signal.reason is after.reason


def test_any_of_the_same(controllers: list[AbortController]) -> None:
    """
    A signal may be listed twice.
    """
    seen: list[Event] = []
    signal = AbortSignal.any([controllers[0].signal] * 2)
    signal.onabort = seen.append
    controllers[0].abort()
    assert 1 == len(seen)


def test_any_of_any(controllers: list[AbortController]) -> None:
    """
    Dependents of dependents abort as well, also when the one in between is gone.
    """
    seen: list[str] = []
    middle = AbortSignal.any([controllers[0].signal, controllers[1].signal])
    middle.onabort = lambda event: seen.append("middle")
    last = AbortSignal.any([middle, controllers[2].signal])
    last.onabort = lambda event: seen.append("last")
    other = AbortSignal.any([AbortSignal.any([controllers[0].signal])])
    controllers[0].abort("zero")
    assert (["middle", "last"], "zero", "zero") == (seen, last.reason, other.reason)


def test_any_in_order(controllers: list[AbortController]) -> None:
    """
    First the signal's own listeners are called, then those of its dependents as they were made.
    """
    seen: list[str] = []
    source = controllers[0].signal
    # Listened to in another order than made.
    signals = {str(number): AbortSignal.any([source]) for number in range(1, 4)}
    signals["4"] = AbortSignal.any([signals["1"], signals["2"]])
    signals["0"] = source
    for name in "31402":
        signals[name].add_event_listener("abort", lambda event, name=name: seen.append(name))
    controllers[0].abort()
    assert [*"01234"] == seen


def test_any_is_aborted_before_events_fire(controllers: list[AbortController]) -> None:
    """
    A listener of the source sees that the dependents have aborted.
    """
    seen: list[object] = []
    source = controllers[0].signal
    dependent = AbortSignal.any([source])
    last = AbortSignal.any([dependent])
    source.onabort = lambda event: seen.extend([dependent.reason, last.reason])
    controllers[0].abort("zero")
    assert ["zero", "zero"] == seen


def test_any_with_an_abort_inside(controllers: list[AbortController]) -> None:
    """
    A listener that aborts another source comes too late, and the dependent's event fires once.
    """
    seen: list[object] = []
    signal = AbortSignal.any([controllers[0].signal, controllers[1].signal])
    controllers[0].signal.onabort = lambda event: controllers[1].abort("one")
    signal.onabort = lambda event: seen.append(signal.reason)
    controllers[0].abort("zero")
    assert ["zero"] == seen
    assert "one" == controllers[1].signal.reason


def test_any_is_told_by_the_one_that_aborted_it(controllers: list[AbortController]) -> None:
    """
    Another source that aborts meanwhile does not tell the dependent before its turn has come.
    """
    seen: list[str] = []
    signal = AbortSignal.any([controllers[0].signal, controllers[1].signal])
    controllers[0].signal.onabort = lambda event: controllers[1].abort("one")
    controllers[0].signal.add_event_listener("abort", lambda event: seen.append("zero"))
    controllers[1].signal.onabort = lambda event: seen.append("one")
    signal.onabort = lambda event: seen.append("any")
    controllers[0].abort("zero")
    assert ["one", "zero", "any"] == seen


def test_any_made_inside_an_abort(controllers: list[AbortController]) -> None:
    """
    What a listener makes of the signal that aborts has aborted.
    """
    made: list[AbortSignal] = []
    middle = AbortSignal.any([controllers[0].signal])
    controllers[0].signal.onabort = lambda event: made.append(
        AbortSignal.any([middle, controllers[1].signal])
    )
    controllers[0].abort("zero")
    assert ["zero"] == [signal.reason for signal in made]


def test_any_made_of_one_that_is_about_to_abort(controllers: list[AbortController]) -> None:
    """
    A source that has aborted but has not told the dependent that is listed is noticed.
    """
    middle = AbortSignal.any([controllers[0].signal])
    # As far as another thread may have come.
    controllers[0].signal._settle("zero")
    assert not middle.aborted
    assert "zero" == AbortSignal.any([middle]).reason


def test_any_takes_signals_only(controllers: list[AbortController]) -> None:
    """
    Wrong use is told at the call, with what is wanted.
    """
    with pytest.raises(TypeError, match=r"takes signals, not AbortController; .* give its signal"):
        AbortSignal.any(controllers)  # type: ignore[arg-type]  # the wrong use under test


def test_any_is_collected(controllers: list[AbortController]) -> None:
    """
    A dependent that nobody keeps or listens to is gone, and leaves nothing in its source.
    """
    source = controllers[0].signal
    gone = weakref.ref(AbortSignal.any([source]))
    assert is_gone(gone)
    assert {} == source._dependents


def test_any_with_a_listener_is_kept(controllers: list[AbortController]) -> None:
    """
    A dependent that somebody listens to aborts with its source, though nothing else keeps it.
    """
    seen: list[Event] = []
    AbortSignal.any([controllers[0].signal]).add_event_listener("abort", seen.append)
    AbortSignal.any([AbortSignal.any([controllers[0].signal])]).onabort = seen.append
    gc.collect()
    controllers[0].abort()
    assert 2 == len(seen)


@pytest.mark.parametrize(
    "how", ["removed", "handler", "signal", "algorithm", "waited", "elsewhere"]
)
def test_any_is_collected_when_nobody_listens_any_more(
    controllers: list[AbortController], how: str
) -> None:
    """
    A dependent whose last listener has gone is not kept any more.
    """
    source = controllers[0].signal
    signal = AbortSignal.any([source])
    gone = weakref.ref(signal)
    if how == "removed":
        signal.add_event_listener("abort", print)
        assert 1 == len(source._kept)
        signal.remove_event_listener("abort", print)
    elif how == "handler":
        signal.onabort = print
        signal.onabort = None
    elif how == "signal":
        signal.add_event_listener("abort", print, signal=controllers[1].signal)
        controllers[1].abort()
    elif how == "algorithm":
        signal._add_algorithm(print)
        signal._remove_algorithm(print)
    elif how == "elsewhere":
        target = EventTarget()
        target.add_event_listener("custom", print, signal=signal)
        assert 1 == len(source._kept)
        target.remove_event_listener("custom", print)
    else:
        assert not signal.wait(0)
    assert {} == source._kept
    del signal
    assert is_gone(gone)


def test_aborted_any_lets_its_sources_go(controllers: list[AbortController]) -> None:
    """
    After the abort a dependent neither keeps its sources nor is kept by them.
    """
    signal = AbortSignal.any([controller.signal for controller in controllers])
    signal.onabort = print
    source = weakref.ref(controllers.pop().signal)
    assert not is_gone(source)
    controllers[0].abort()
    assert is_gone(source)
    assert ({}, {}) == (controllers[1].signal._dependents, controllers[1].signal._kept)


def test_listener_elsewhere_keeps_its_signal(controllers: list[AbortController]) -> None:
    """
    A dependent that is only used as the `signal` of a listener still removes it.
    """
    target = EventTarget()
    target.add_event_listener(
        "custom", pytest.fail, signal=AbortSignal.any([controllers[0].signal])
    )
    gc.collect()
    controllers[0].abort()
    assert not target._has_listeners("custom")


# -- timeout


def test_case_149_timeout(held: Inbox[Callable[[], object]]) -> None:
    """
    After the time the signal has aborted, with a `TimeoutError` that tells how long it was.
    """
    signal = AbortSignal.timeout(0.01)
    make = held.get()
    assert (False, None) == (signal.aborted, signal.reason)
    make()
    assert signal.wait(20)
    assert isinstance(signal.reason, TimeoutError)
    assert "timed out after 0.01 s; allow more, or do less" == str(signal.reason)
    with pytest.raises(TimeoutError):
        signal.throw_if_aborted()


def test_timeout_fires_on_the_events_thread() -> None:
    """
    The event comes from the thread of all handlers, and finds the signal aborted.
    """
    inbox = Inbox[tuple[str, bool]]()
    signal = AbortSignal.timeout(0)
    signal.onabort = lambda event: inbox((threading.current_thread().name, event.target.aborted))
    if not signal.aborted:
        assert ("webworker-events", True) == inbox.get()


def test_timeout_fires_on_the_loop_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    So that a listener may cancel what runs there; also one that is `async def`.
    """
    # Not before both listen, however long that takes.
    held, deliver = Inbox[Callable[[], object]](), timers._deliver
    monkeypatch.setattr(timers, "_deliver", held)

    async def main() -> list[object]:
        heard: list[object] = []
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        async def listen(event: Event) -> None:
            await asyncio.sleep(0)
            heard.append(asyncio.get_running_loop() is loop)
            ended.set()

        sleeping = loop.create_task(asyncio.sleep(60.0))
        signal = AbortSignal.any([AbortSignal.timeout(0.01)])
        signal.add_event_listener("abort", lambda _: sleeping.cancel())
        signal.add_event_listener("abort", listen)
        deliver(held.get())
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        await asyncio.wait_for(ended.wait(), LIMIT)
        return heard

    assert [True] == asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_timeout_fires_though_the_loop_that_listened_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Where it would without.
    """
    # Not before it is closed, however long that takes.
    held, deliver = Inbox[Callable[[], object]](), timers._deliver
    monkeypatch.setattr(timers, "_deliver", held)
    inbox = Inbox[str]()

    async def main() -> AbortSignal:
        signal = AbortSignal.timeout(0.01)
        signal.onabort = lambda event: inbox(threading.current_thread().name)
        return signal

    signal = asyncio.run(main())
    deliver(held.get())
    assert "webworker-events" == inbox.get()
    assert signal.aborted


def test_timeouts_in_order() -> None:
    """
    The shorter time ends first, whichever was asked for first.
    """
    long, short = AbortSignal.timeout(3600), AbortSignal.timeout(0.01)
    assert short.wait(20)
    assert not long.aborted


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("-inf")])
def test_timeout_must_be_a_time(seconds: float) -> None:
    """
    Wrong use is told at the call, with what is wanted.
    """
    with pytest.raises(ValueError, match=r"^seconds must be 0 seconds or more, not "):
        AbortSignal.timeout(seconds)


def test_endless_timeout() -> None:
    """
    Infinity is a time at which nothing happens.
    """
    signal = AbortSignal.timeout(float("inf"))
    assert not signal.wait(0.01)


def test_timeout_that_nobody_keeps_is_forgotten() -> None:
    """
    A long time-out of a short task leaves nothing behind when the task is done.
    """
    signal = AbortSignal.timeout(3600)
    signal.add_event_listener("abort", print)
    signal.remove_event_listener("abort", print)
    gone = weakref.ref(signal)
    del signal
    assert is_gone(gone)
    assert {} == timers._pending


def test_timeout_with_a_listener_is_kept(held: Inbox[Callable[[], object]]) -> None:
    """
    A time-out that somebody listens to happens, though nothing else keeps it.
    """
    seen: list[str] = []
    AbortSignal.timeout(0).onabort = lambda event: seen.append("itself")
    AbortSignal.timeout(0)._add_algorithm(lambda: seen.append("algorithm"))
    AbortSignal.any([AbortSignal.timeout(0)]).onabort = lambda event: seen.append("dependent")
    gc.collect()
    for make in held.take(3):
        make()
    assert ["itself", "algorithm", "dependent"] == seen


def test_timeout_in_any(controllers: list[AbortController]) -> None:
    """
    What comes first, time or another abort, gives the reason; then the time is forgotten.
    """
    late = AbortSignal.any([controllers[0].signal, AbortSignal.timeout(0.01)])
    assert late.wait(20)
    assert isinstance(late.reason, TimeoutError)
    early = AbortSignal.any([controllers[0].signal, AbortSignal.timeout(3600)])
    early.onabort = lambda event: None
    controllers[0].abort("zero")
    assert "zero" == early.reason
    gc.collect()
    assert {} == timers._pending


def test_timeout_of_a_listener_elsewhere(held: Inbox[Callable[[], object]]) -> None:
    """
    A listener may be given so much time.
    """
    target = EventTarget()
    target.add_event_listener("custom", print, signal=AbortSignal.timeout(0))
    gc.collect()
    assert target._has_listeners("custom")
    held.get()()
    assert not target._has_listeners("custom")


@pytest.mark.parametrize("signals", [3, AbortSignal.abort()])
def test_any_takes_a_list(signals: object) -> None:
    """
    A number or a single signal is told from it.
    """
    with pytest.raises(TypeError, match=r"^AbortSignal\.any\(\) takes a list of signals, not "):
        AbortSignal.any(signals)  # type: ignore[arg-type]  # what is tested
