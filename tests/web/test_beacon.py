"""
Signals that were sent to other processes abort there, for the same reason, also late and afar.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.leaks import descriptors
from tests.link.interrupts import broken_off, interrupted_at
from tests.patience import wait_until
from tests.pool import talking
from tests.threads import run_together
from webworker_executor import (
    AbortController,
    AbortError,
    AbortSignal,
    Event,
    EventTarget,
    MessageChannel,
    WebWorkerExecutor,
    Worker,
    structured_clone,
)
from webworker_executor.web.abort import OwnSignal
from webworker_executor.web.beacon import DistantSignal, _Watch
from webworker_executor.wire.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.launchers import LauncherName


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (talking.wait_for, (True, "enough")),
        (talking.spin_for, "enough"),
        (talking.listen_for, ["enough"]),
    ],
)
def test_a_signal_aborts_where_it_was_sent(
    launcher: LauncherName, task: Callable[[AbortSignal], object], expected: object
) -> None:
    """
    Whoever waits, looks or listens there hears of it.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        controller = AbortController()
        future = pool.submit(task, controller.signal)
        assert "waiting" == future.messages().receive(10.0).data
        controller.abort("enough")
        assert expected == future.result(10.0)


def test_a_signal_aborts_on_the_loop_that_listens(launcher: LauncherName) -> None:
    """
    So that what a task runs there can be cancelled.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        controller = AbortController()
        future = pool.submit(talking.sleep_until, controller.signal)
        future.messages().receive(10.0)
        controller.abort("enough")
        assert ("cancelled", True) == future.result(10.0)


LISTENING = """
is_busy = False

def onmessage(event):
    global is_busy
    is_busy = True
    event.data.onabort = lambda abort: post_message((is_busy, threading.current_thread().name))
    post_message("listening")
    while not event.data.aborted:
        time.sleep(0.001)
    is_busy = False

import threading, time
"""


def test_a_signal_aborts_between_what_a_script_does(launcher: LauncherName) -> None:
    """
    On its main thread, like any handler, and never within another one.
    """
    with Worker(source=LISTENING, launcher=launcher) as worker:
        controller = AbortController()
        worker.post_message(controller.signal)
        assert "listening" == worker.receive(20.0).data
        controller.abort("enough")
        assert (False, "MainThread") == worker.receive(20.0).data


def test_every_copy_hears_of_it(launcher: LauncherName) -> None:
    """
    Those that come late, and a copy of a copy, as well.
    """
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        controller = AbortController()
        futures = [pool.submit(talking.wait_for, controller.signal) for _ in range(2)]
        for future in futures:
            future.messages().receive(10.0)
        controller.abort(ValueError("enough"))
        futures.append(pool.submit(talking.wait_for, controller.signal))
        assert ["(True, ValueError('enough'))"] * 3 == [repr(each.result(10.0)) for each in futures]


class Mute:
    """What can neither be sent nor told."""

    def __reduce__(self) -> NoReturn:
        raise ZeroDivisionError

    __repr__ = __reduce__


def test_a_reason_that_cannot_be_told_aborts_the_copies_as_well() -> None:
    """
    They see of what type it is, and the original keeps the very object.
    """
    controller = AbortController()
    copy = structured_clone(controller.signal)
    controller.abort(reason := Mute())
    assert (True, "<Mute object that cannot be shown>") == (copy.aborted, copy.reason)
    assert reason is controller.signal.reason
    with pytest.raises(AbortError, match="aborted: <Mute object that cannot be shown>"):
        controller.signal.throw_if_aborted()


@pytest.mark.slow
def test_a_signal_is_passed_on() -> None:
    """
    To a worker of a worker, without the help of the one between.
    """
    with WebWorkerExecutor(1) as pool:
        controller = AbortController()
        future = pool.submit(talking.pass_on, controller.signal)
        assert "waiting" == future.messages().receive(20.0).data
        controller.abort("enough")
        assert (True, "enough") == future.result(20.0)


def test_signals_of_every_kind_can_be_sent() -> None:
    """
    Those that follow the clock, and those that follow others.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        aborted, reason = pool.submit(talking.wait_for, AbortSignal.timeout(0.05)).result(10.0)
        assert aborted
        assert isinstance(reason, TimeoutError)
        controller = AbortController()
        both = AbortSignal.any([AbortController().signal, controller.signal])
        future = pool.submit(talking.wait_for, both)
        future.messages().receive(10.0)
        controller.abort("first")
        assert (True, "first") == future.result(10.0)


def test_a_signal_goes_through_a_port() -> None:
    """
    As anything else that can be sent.
    """
    controller = AbortController()
    with MessageChannel() as channel:
        channel.port1.post_message(controller.signal)
        copy = channel.port2.receive(10.0).data
    assert not copy.aborted
    assert copy.reason is None
    controller.abort("enough")
    assert copy.aborted
    assert "enough" == copy.reason


def test_what_is_made_of_a_copy_is_looked_at() -> None:
    """
    Nobody listens to it, so that nobody is told: whoever asks has it looked up.
    """
    controller = AbortController()
    either = AbortSignal.any([AbortController().signal, structured_clone(controller.signal)])
    last = AbortSignal.any([either, AbortSignal.timeout(math.inf)])
    assert (False, None) == (last.aborted, last.reason)
    controller.abort("enough")
    assert "enough" == last.reason
    with pytest.raises(AbortError):
        either.throw_if_aborted()


@pytest.mark.parametrize("make", [lambda copy: copy, lambda copy: AbortSignal.any([copy])])
def test_a_copy_removes_listeners(make: Callable[[AbortSignal], AbortSignal]) -> None:
    """
    A listener elsewhere that was added with it goes when the original aborts; until then somebody
    watches for that, and no longer than the listener is there.
    """
    controller = AbortController()
    target, heard = EventTarget(), list[Event]()
    target.add_event_listener(
        "custom", heard.append, signal=make(structured_clone(controller.signal))
    )
    gc.collect()
    target.dispatch_event(Event("custom"))
    assert 1 == len(heard)
    controller.abort("enough")
    wait_until(lambda: not target._has_listeners("custom"), 10.0)
    copy: Any = structured_clone(AbortController().signal)
    target.add_event_listener("custom", heard.append, signal=make(copy))
    assert copy._watch is not None
    target.remove_event_listener("custom", heard.append)
    assert copy._watch is None


def test_two_threads_listen_to_a_copy_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One thread watches for both, and goes with the last listener.
    """
    both_are_there = threading.Barrier(2)
    make = _Watch.__init__

    def make_together(self: _Watch, signal: DistantSignal) -> None:
        both_are_there.wait(10.0)
        make(self, signal)

    controller = AbortController()
    copy: Any = structured_clone(controller.signal)
    monkeypatch.setattr(_Watch, "__init__", make_together)
    run_together(lambda: copy._pin(True, ()), lambda: copy._pin(True, ()))
    copy._pin(False, ())
    assert copy._watch is None


def test_a_copy_without_its_original_never_aborts() -> None:
    """
    A wait for it ends in time.
    """
    controller = AbortController()
    copy = structured_clone(controller.signal)
    del controller
    gc.collect()
    assert not copy.wait(0.05)
    assert not copy.aborted


def test_a_copy_that_is_made_while_the_first_one_is() -> None:
    """
    It hears of an abort that comes before the making of the first is over.
    """
    copies: list[AbortSignal] = []

    class Met(OwnSignal):
        """One at which another thread has its turn, while it is sent for the first time."""

        def _add_algorithm(self, algorithm: Callable[[], object]) -> bool:
            if not copies:
                copies.append(AbortSignal.abort("enough"))
                thread = threading.Thread(target=send_and_abort)
                thread.start()
                thread.join()
            return super()._add_algorithm(algorithm)

    def send_and_abort() -> None:
        copies.append(structured_clone(signal))
        signal._abort("enough")

    signal = Met()
    copies.append(structured_clone(signal))
    assert ["enough"] * 3 == [copy.reason for copy in copies]


def test_a_reason_that_cannot_be_sent_aborts_as_well() -> None:
    """
    By its text; one that is too large, too, and one sees that it was cut.
    """
    for reason in (threading.Lock(), "x" * 1_000_000, bytearray(500_000)):
        controller = AbortController()
        copy = structured_clone(controller.signal)
        controller.abort(reason)
        assert copy.wait(10.0)
        assert shown(reason, 1000) == copy.reason


def test_listeners_come_and_go() -> None:
    """
    Nobody stays who watches for them.
    """
    controller = AbortController()
    copy = structured_clone(controller.signal)
    heard = threading.Event()

    def hear(event: object) -> None:
        heard.set()

    for _ in range(3):
        copy.add_event_listener("abort", hear)
        copy.remove_event_listener("abort", hear)
    copy.add_event_listener("abort", hear)
    controller.abort()
    assert heard.wait(10.0)


def test_a_signal_that_is_sent_often_costs_no_more_descriptors() -> None:
    """
    However often that is.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        controller = AbortController()
        assert pool.submit(_is_aborted, controller.signal).result(10.0) is False
        before = len(os.listdir("/proc/self/fd"))
        assert [False] * 100 == list(pool.map(_is_aborted, [controller.signal] * 100))
        assert len(os.listdir("/proc/self/fd")) < before + 10


def _is_aborted(signal: AbortSignal) -> bool:
    return signal.aborted


def test_bytes_by_themselves_cannot_hold_a_signal() -> None:
    """
    The error says how it can be sent.
    """
    with pytest.raises(TypeError, match="It can be sent, as an argument"):
        pickle.dumps(AbortController().signal)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_first_sending_is_broken_off_can_be_sent() -> None:
    """
    Wherever a signal handler raises, the next copy hears of the abort.
    """
    controllers = [AbortController()]
    with MessageChannel() as channel:
        for _ in broken_off(lambda: channel.port1.post_message(controllers[-1].signal), every=3):
            channel.port1.post_message(controllers[-1].signal)
            copies = [channel.port2.receive(10.0).data]
            while left := channel.port2.receive_nowait():
                copies.append(left.data)
            controllers[-1].abort("enough")
            assert {"enough"} == {copy.reason for copy in copies}
            controllers.append(AbortController())


# A socket of which the handler's exception leaves nothing but itself closes, and says so.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("receive", ["receive", "receive_nowait"])
def test_a_signal_whose_receiving_is_broken_off_is_received_by_the_next(receive: str) -> None:
    """
    Wherever a signal handler raises; nothing is left of what was made of it before.
    """
    controller = AbortController()
    with MessageChannel() as channel:
        channel.port1.post_message(controller.signal)
        copies = [channel.port2.receive(10.0).data]
        before = len(os.listdir("/proc/self/fd"))
        channel.port1.post_message(controller.signal)
        for step in broken_off(lambda: copies.append(getattr(channel.port2, receive)().data)):
            if len(copies) == 1:
                copies.append(channel.port2.receive(10.0).data)
            assert not copies.pop().aborted, step
            assert before == len(os.listdir("/proc/self/fd")), step
            channel.port1.post_message(controller.signal)
        controller.abort("enough")
        assert ["enough"] * 2 == [copies[0].reason, channel.port2.receive(10.0).data.reason]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_of_a_task_whose_submission_is_broken_off_goes_with_the_next() -> None:
    """
    Wherever a signal handler raises; and no descriptor is left of it when the signal is gone.
    """
    controllers = [AbortController()]
    with WebWorkerExecutor(1, launcher="fork") as pool:
        assert pool.submit(_is_aborted, AbortController().signal).result(10.0) is False
        gc.collect()
        # The rest of what is open is the pool's, which takes it when it needs it.
        before = _sockets()
        for _ in broken_off(lambda: pool.submit(_is_aborted, controllers[-1].signal)):
            assert pool.submit(_is_aborted, controllers[-1].signal).result(10.0) is False
            controllers[:] = [AbortController()]
            wait_until(lambda: _sockets() <= before, tell=lambda: _sockets() - before)


def _sockets() -> set[str]:
    return {line for line in descriptors().values() if "socket:" in line}


def test_a_signal_that_a_signal_handler_sends_amid_the_sending_of_another() -> None:
    """
    Each comes with what belongs to it.
    """
    controllers = [AbortController() for _ in range(2)]
    with MessageChannel() as channel, MessageChannel() as other:
        for step in range(0, 90, 3):
            with interrupted_at(step, lambda: other.port1.post_message(controllers[1].signal)):
                channel.port1.post_message(controllers[0].signal)
            assert not channel.port2.receive(10.0).data.aborted
            assert not other.port2.receive(10.0).data.aborted
            controllers[:] = [AbortController() for _ in range(2)]
