"""
Tests of `webworker_executor.web.abort`: one side says "enough", and whoever listens stops.
"""

from __future__ import annotations

import itertools
import json
import pickle
import signal
import threading
import traceback
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from tests.link.interrupts import broken_off
from tests.threads import run_together
from webworker_executor.errors import AbortError, WebWorkerError
from webworker_executor.web.abort import AbortController, AbortSignal
from webworker_executor.web.target import EventTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.script import ScriptRunner
    from webworker_executor.web.event import Event


@pytest.fixture
def controller() -> AbortController:
    return AbortController()


def fail() -> None:
    raise LookupError("a bug")


# -- controller and signal


def test_case_149_abort_is_synchronous(controller: AbortController) -> None:
    """
    `abort` fires one event in the caller's thread, before it returns; the reason is there by then.
    """
    seen: list[tuple[object, ...]] = []

    def listener(event: Event) -> None:
        place = threading.current_thread()
        seen.append((event.type, event.target, event.bubbles, event.cancelable, place))
        seen.append((controller.signal.aborted, controller.signal.reason))

    controller.signal.add_event_listener("abort", listener)
    assert (False, None) == (controller.signal.aborted, controller.signal.reason)
    controller.abort("enough")
    assert [
        ("abort", controller.signal, False, False, threading.current_thread()),
        (True, "enough"),
    ] == seen


def test_case_149_second_abort_has_no_effect(controller: AbortController) -> None:
    """
    The first reason stays, and nobody is called again.
    """
    seen: list[Event] = []
    controller.signal.onabort = seen.append
    for reason in ("first", "second", None):
        controller.abort(reason)
    assert ("first", 1) == (controller.signal.reason, len(seen))


def test_case_149_late_listeners_never_run(controller: AbortController) -> None:
    """
    Whoever listens after the abort is not called, neither now nor by another abort.
    """
    controller.abort()
    controller.signal.add_event_listener("abort", pytest.fail)
    controller.signal.onabort = pytest.fail
    controller.abort()


def test_signal_is_the_same(controller: AbortController) -> None:
    """
    A controller has one signal, which cannot be replaced.
    """
    assert controller.signal is controller.signal
    with pytest.raises(AttributeError):
        controller.signal = AbortSignal.abort()  # type: ignore[misc]  # the wrong use under test


def test_default_reason(controller: AbortController) -> None:
    """
    Without a reason it is an `AbortError`, the same object whenever one looks.
    """
    controller.abort()
    reason = controller.signal.reason
    assert isinstance(reason, AbortError)
    assert isinstance(reason, WebWorkerError)
    assert reason is controller.signal.reason
    assert None is reason.reason


@pytest.mark.parametrize("reason", ["", 0, False, (), ValueError("bad"), ValueError, object()])
def test_reason_is_kept(controller: AbortController, reason: object) -> None:
    """
    The reason is the very object that was given, whatever it is.
    """
    controller.abort(reason)
    assert reason is controller.signal.reason
    assert reason is AbortSignal.abort(reason).reason


def test_made_aborted() -> None:
    """
    `AbortSignal.abort` makes one that has aborted, and calls nobody.
    """
    signal = AbortSignal.abort()
    signal.onabort = pytest.fail
    assert signal.aborted
    assert isinstance(signal.reason, AbortError)


def test_signal_is_an_event_target(controller: AbortController) -> None:
    """
    All rules of listeners hold, `once` and `signal` among them.
    """
    other = AbortController()
    seen: list[str] = []
    target = controller.signal
    assert isinstance(target, EventTarget)
    target.add_event_listener("abort", lambda event: seen.append("once"), once=True)
    target.add_event_listener("abort", lambda event: seen.append("gone"), signal=other.signal)
    target.onabort = lambda event: seen.append("handler")
    # A listener that goes with the very event that it waits for is gone before it.
    target.add_event_listener("abort", lambda event: seen.append("own"), signal=target)
    other.abort()
    controller.abort()
    assert ["once", "handler"] == seen


def test_abort_by_a_listener(controller: AbortController) -> None:
    """
    A listener that aborts once more changes nothing: the others run after it, once.
    """
    seen: list[str] = []

    def again(event: Event) -> None:
        controller.abort("again")
        seen.append("first")

    controller.signal.add_event_listener("abort", again)
    controller.signal.add_event_listener("abort", lambda event: seen.append("second"))
    controller.abort("at first")
    assert (["first", "second"], "at first") == (seen, controller.signal.reason)


def test_failing_listener(controller: AbortController, caplog: pytest.LogCaptureFixture) -> None:
    """
    What a listener raises is logged; who aborts does not notice, and the others are called.
    """
    seen: list[Event] = []
    controller.signal.add_event_listener("abort", lambda event: fail())
    controller.signal.add_event_listener("abort", seen.append)
    with caplog.at_level("ERROR", "webworker_executor.web"):
        controller.abort()
    assert (1, 1) == (len(seen), len(caplog.records))


def test_interrupt_by_a_listener(controller: AbortController) -> None:
    """
    Ctrl-C in a listener gets through to who aborts, after everybody has been told.
    """
    seen: list[object] = []

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    dependent = AbortSignal.any([controller.signal])
    dependent.onabort = seen.append
    controller.signal._add_algorithm(interrupt)
    controller.signal.add_event_listener("abort", interrupt)
    controller.signal.add_event_listener("abort", seen.append)
    with pytest.raises(KeyboardInterrupt):
        controller.abort()
    assert 2 == len(seen)


def test_repr_tells_the_state(controller: AbortController) -> None:
    """
    A signal prints whether it has aborted, and why.
    """
    assert "<AbortController of <AbortSignal>>" == repr(controller)
    controller.abort("enough")
    assert "<AbortSignal aborted: 'enough'>" == repr(controller.signal)


def test_signal_is_not_pickled(controller: AbortController) -> None:
    """
    Who tries is told what to do instead.
    """
    with pytest.raises(TypeError, match=r"lives in the process .* there is future\.abort\(\)"):
        pickle.dumps(controller.signal)


def test_a_controller_is_not_sent(controller: AbortController) -> None:
    """
    A copy could abort nothing here.
    """
    with pytest.raises(TypeError, match=r"stays where it was made.* send its signal"):
        pickle.dumps(controller)


# -- throwing


def test_throws_nothing_before(controller: AbortController) -> None:
    """
    Before the abort, `throw_if_aborted` returns.
    """
    controller.signal.throw_if_aborted()


@pytest.mark.parametrize("reason", [ValueError("bad"), KeyboardInterrupt(), AbortError("enough")])
def test_throws_the_reason_itself(controller: AbortController, reason: BaseException) -> None:
    """
    A reason that is an exception is raised as it is.
    """
    controller.abort(reason)
    with pytest.raises(type(reason)) as caught:
        controller.signal.throw_if_aborted()
    assert reason is caught.value


def test_throws_the_default_reason(controller: AbortController) -> None:
    """
    The default reason is an exception, too.
    """
    controller.abort()
    with pytest.raises(AbortError) as caught:
        controller.signal.throw_if_aborted()
    assert controller.signal.reason is caught.value


@pytest.mark.parametrize("reason", ["enough", 0, ValueError])
def test_throws_what_wraps_the_reason(controller: AbortController, reason: object) -> None:
    """
    A reason that cannot be raised is wrapped, and told.
    """
    controller.abort(reason)
    with pytest.raises(AbortError) as caught:
        controller.signal.throw_if_aborted()
    assert (f"aborted: {reason!r}", reason) == (str(caught.value), caught.value.reason)


def test_frames_do_not_pile_up(controller: AbortController) -> None:
    """
    A reason that is raised many times keeps where it came from, and no more of each raise.
    """
    try:
        fail()
    except LookupError as error:
        controller.abort(error)
    names = []
    for _ in range(3):
        with pytest.raises(LookupError) as caught:
            controller.signal.throw_if_aborted()
        names.append([frame.name for frame in traceback.extract_tb(caught.value.__traceback__)])
    here = "test_frames_do_not_pile_up"
    assert [[here, "throw_if_aborted", here, "fail"]] * 3 == names


# -- waiting


def test_wait_ends_with_the_abort(controller: AbortController) -> None:
    """
    Every thread that waits goes on when another aborts.
    """
    inbox = Inbox[bool]()
    threads = [
        threading.Thread(target=lambda timeout=timeout: inbox(controller.signal.wait(timeout)))
        for timeout in (None, 5, 1e99)
    ]
    for thread in threads:
        thread.start()
    controller.abort()
    assert [True] * 3 == inbox.take(3)
    for thread in threads:
        thread.join(20)


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_wait_in_vain(controller: AbortController, timeout: float) -> None:
    """
    Who waits as long as he wanted is told that nothing happened, and leaves nothing behind.
    """
    assert not controller.signal.wait(timeout)
    assert not controller.signal._algorithms


def test_wait_afterwards() -> None:
    """
    After the abort nobody waits.
    """
    assert AbortSignal.abort().wait()


def test_wait_is_interrupted(controller: AbortController) -> None:
    """
    A signal handler runs while the main thread waits: it may abort, and it may raise.
    """

    def handler(*args: object) -> None:
        if may_raise:
            raise LookupError("by a handler")
        if controller.signal._algorithms:
            controller.abort("by a handler")

    may_raise = False
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        me = threading.main_thread().ident
        assert me is not None
        # Again and again: the first may come before the wait has begun.
        stop = threading.Event()

        def disturb() -> None:
            while not stop.wait(0.01):
                signal.pthread_kill(me, signal.SIGUSR1)

        thread = threading.Thread(target=disturb)
        thread.start()
        assert controller.signal.wait(20)
        stop.set()
        thread.join(20)
        may_raise = True
        assert "by a handler" == controller.signal.reason
        with pytest.raises(LookupError, match="by a handler"):
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)


# -- algorithms


def test_algorithms_run_before_the_event(controller: AbortController) -> None:
    """
    What carries an abort further comes before what listens to it, the youngest first.
    """
    seen: list[object] = []
    controller.signal.onabort = lambda event: seen.append("event")
    added = [
        controller.signal._add_algorithm(lambda: seen.append("first")),
        controller.signal._add_algorithm(lambda: seen.append("second")),
    ]
    controller.abort()
    assert ([True, True], ["second", "first", "event"]) == (added, seen)


def test_algorithms_are_a_set(controller: AbortController) -> None:
    """
    The same one runs once, and can be removed, a method included.
    """
    seen: deque[int] = deque([1, 2, 3])
    other: list[None] = []
    controller.signal._add_algorithm(seen.popleft)
    controller.signal._add_algorithm(seen.popleft)
    controller.signal._add_algorithm(other.clear)
    controller.signal._remove_algorithm(other.clear)
    controller.signal._remove_algorithm(other.clear)
    other.append(None)
    controller.abort()
    assert ([2, 3], [None]) == (list(seen), other)


def test_no_algorithm_afterwards(controller: AbortController) -> None:
    """
    After the abort nothing is added, and who tries is told.
    """
    controller.abort()
    assert not controller.signal._add_algorithm(pytest.fail)
    assert not controller.signal._algorithms


def test_failing_algorithm(controller: AbortController, caplog: pytest.LogCaptureFixture) -> None:
    """
    An algorithm that fails is logged, and keeps neither the next one nor the event from running.
    """
    seen: list[object] = []
    controller.signal._add_algorithm(fail)
    controller.signal._add_algorithm(lambda: seen.append("next"))
    controller.signal.onabort = lambda event: seen.append("event")
    with caplog.at_level("ERROR", "webworker_executor.web"):
        controller.abort()
    assert (["next", "event"], 1) == (seen, len(caplog.records))


# -- threads and signal handlers


def test_one_thread_aborts() -> None:
    """
    Of threads that abort at the same time one gives the reason, and listeners are called once.
    """
    for _ in range(50):
        controller = AbortController()
        seen: list[Event] = []
        algorithms: list[None] = []
        controller.signal.onabort = seen.append
        controller.signal._add_algorithm(lambda algorithms=algorithms: algorithms.append(None))  # type: ignore[misc]  # bound now
        run_together(*[partial(controller.abort, reason) for reason in (1, 2, 3)])
        assert controller.signal.reason in {1, 2, 3}
        assert (1, 1) == (len(seen), len(algorithms))


def test_no_listener_is_lost() -> None:
    """
    Whoever listens while another thread aborts is called, or told that it has aborted.
    """
    for _ in range(100):
        controller = AbortController()
        called: list[str] = []
        told: list[str] = []

        def listen(
            signal: AbortSignal = controller.signal,
            called: list[str] = called,
            told: list[str] = told,
        ) -> None:
            signal.add_event_listener("abort", lambda event: called.append("listener"))
            if signal.aborted:
                told.append("listener")
            if not signal._add_algorithm(lambda: called.append("algorithm")):
                told.append("algorithm")
            dependent = AbortSignal.any([signal])
            dependent.add_event_listener("abort", lambda event: called.append("dependent"))
            if dependent.aborted:
                told.append("dependent")

        run_together(controller.abort, listen)
        assert {"listener", "algorithm", "dependent"} == {*called, *told}
        assert len(called) == len(set(called))
        # An algorithm is promised more: never both.
        assert not {"algorithm"} & set(called) & set(told)


def test_listener_elsewhere_is_not_left_behind() -> None:
    """
    A listener that is added with a signal while another thread aborts is gone afterwards.
    """
    for _ in range(100):
        controller = AbortController()
        target = EventTarget()

        def listen(target: EventTarget = target, signal: AbortSignal = controller.signal) -> None:
            target.add_event_listener("custom", pytest.fail, signal=signal)

        run_together(controller.abort, listen)
        assert not target._has_listeners("custom")


class Awaited:
    """An abort that all kinds of those who are told of one wait for."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.numbers = itertools.count()
        self.controller = AbortController()
        self.target = EventTarget()
        source = self.controller.signal
        either = [AbortSignal.any([source, AbortController().signal]) for _ in range(2)]
        for signal_ in (source, *either):
            signal_.onabort = self.teller()
            signal_.add_event_listener("abort", self.teller())
            signal_.add_event_listener("abort", self.teller(), once=True)
            signal_._add_algorithm(self.teller())
            self.target.add_event_listener("custom", self.teller(), signal=signal_)
        # One that nobody keeps but for its listener.
        AbortSignal.any([source]).add_event_listener("abort", self.teller(), once=True)
        self.expected = sorted(set(range(next(self.numbers))) - {4, 9, 14})

    def teller(self) -> Callable[..., None]:
        number = next(self.numbers)
        return lambda *_: self.told.append(number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_next_abort_finishes_one_that_is_broken_off_anywhere() -> None:
    """
    Whoever has not been told is told then, and nobody twice; the first reason stays.
    """
    cases = [Awaited()]
    for step in broken_off(lambda: cases[-1].controller.abort("first")):
        awaited, source = cases[-1], cases[-1].controller.signal
        has_begun = "verdict" in source._facts
        awaited.controller.abort("second")
        assert awaited.expected == sorted(awaited.told), step
        assert not awaited.target._has_listeners("custom"), step
        assert not source._kept, step
        assert not source._dependents, step
        assert source.reason == ("first" if has_begun else "second")
        cases.append(Awaited())


# In a program of its own: the timer that pytest-timeout stands on is the one that is needed here.
STORM = """
import json, logging, signal, sys
from webworker_executor.web.abort import AbortController, AbortSignal

how = sys.argv[1]
calls = []
lost = []
# A handler that raises in a listener is taken for the listener.
logging.getLogger("webworker_executor.web").disabled = True

class Stop(Exception):
    pass

current = None
may_raise = False

def handler(*_):
    global may_raise
    if current is None:
        return
    if how == "abort":
        current.abort("handler")
    elif how == "listen":
        marks = [0, False]
        def listener(event):
            marks[0] += 1
        current.signal.add_event_listener("abort", listener)
        marks[1] = current.signal.aborted
        calls.append(marks)
    elif may_raise:
        may_raise = False
        raise Stop

def once():
    global current, may_raise
    controller = AbortController()
    marks = [[0, False] for _ in range(3)]
    def count(mark):
        mark[0] += 1
    current = controller
    dependent = AbortSignal.any([controller.signal])
    def listen():
        for signal_, mark in ((controller.signal, marks[0]), (dependent, marks[1])):
            signal_.add_event_listener("abort", lambda event, mark=mark: count(mark))
            mark[1] = signal_.aborted
        marks[2][1] = not controller.signal._add_algorithm(lambda: count(marks[2]))
    if how == "raise":
        listen()
        may_raise = True
        try:
            controller.abort("main")
        except Stop:
            pass
        may_raise = False
        # What was broken off is finished here, but for the one call that was interrupted.
        controller.abort("main")
        assert controller.signal.aborted and dependent.aborted
        assert not controller.signal._alone._comers
        assert not controller.signal._algorithms
        assert all(mark[0] <= 1 for mark in marks), marks
    else:
        listen()
        controller.abort("main")
        current = None
        for mark in marks + calls:
            assert mark[0] <= 1, marks
            if not (mark[0] or mark[1]):
                lost.append(mark)
        calls.clear()
    current = None

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
for _ in range(int(sys.argv[2])):
    once()
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps(lost))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["abort", "listen", "raise"])
def test_storm_of_signals(run_script: ScriptRunner, how: str) -> None:
    """
    Signal handlers that abort, listen or raise at any line lose no listener and call none twice.
    """
    done = run_script(STORM, how, "10000")
    assert "" == done.stderr
    assert [] == json.loads(done.stdout)


def test_a_signal_is_not_made_by_hand() -> None:
    """
    Nobody could abort it, and nobody would notice that.
    """
    with pytest.raises(TypeError, match=r"not made by hand; take AbortController\(\)\.signal"):
        AbortSignal()
