"""
Tests of `webworker_executor.web.incoming`: the order in which listeners hear of a worker.
"""

from __future__ import annotations

import queue
from _pickle import dumps
from typing import Any

import pytest

from webworker_executor import PortClosedError
from webworker_executor.web import uncaught
from webworker_executor.web.event import Event
from webworker_executor.web.incoming import WorkerTarget
from webworker_executor.wire.failure import pack_failure
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import ERROR, MESSAGE

SECONDS = 10.0


class Target(WorkerTarget):
    """
    A worker's events without a worker.
    """

    is_kept = False

    def _keep(self, *, is_kept: bool) -> None:
        self.is_kept = is_kept


def message(value: object) -> Frame:
    return Frame(MESSAGE, 0, dumps(value))


def error(text: str) -> Frame:
    packed = pack_failure(ValueError(text))
    return Frame(ERROR, 0, dumps((text, "w.py", 1, 2, "Traceback", packed)))


def listen(target: Target, *types: str) -> queue.SimpleQueue[Any]:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for name in types:
        target.add_event_listener(name, heard.put)
    return heard


class Ending(Target):
    """
    One whose process ends while an event is looked for.
    """

    ends = 0

    def _is_delivering(self) -> bool:
        if self.ends:
            self.ends -= 1
            self._has_exited(0)
        return super()._is_delivering()


def test_a_process_that_ends_while_an_event_is_looked_for() -> None:
    """
    Whoever saw no end yet tells of no exit either: the close is first.
    """
    target = Ending()
    heard = listen(target, "close", "exit")
    target.ends = 1
    target._deliver()
    assert ["close", "exit"] == [heard.get(timeout=SECONDS).type for _ in range(2)]


def test_everything_in_order() -> None:
    """
    Messages and errors as they came, then the close, then the exit.
    """
    target = Target()
    heard = listen(target, "message", "error", "close", "exit")
    target._arrive(message(1))
    target._error_came(error("two"))
    target._arrive(message(3))
    target._error_came(error("four"))
    target._has_exited(5)
    events = [heard.get(timeout=SECONDS) for _ in range(6)]
    expected = ["message", "error", "message", "error", "close", "exit"]
    assert expected == [event.type for event in events]
    assert (1, "two", 3, "four") == (
        events[0].data,
        events[1].message,
        events[2].data,
        events[3].message,
    )
    assert ("four",) == events[3].error.args
    assert (5, None) == (events[5].code, events[5].signal)


def test_the_process_is_ready_before_anything_comes_from_it() -> None:
    """
    Whoever listens later hears so at once, and nobody hears it twice.
    """
    target = Target()
    target._came_up()
    target._arrive(message(1))
    heard = listen(target, "message", "online")
    assert ["online", "message"] == [heard.get(timeout=SECONDS).type for _ in range(2)]
    target._arrive(message(2))
    also = listen(target, "online")
    target._has_exited(0)
    listen(target, "exit").get(timeout=SECONDS)
    assert "message" == heard.get(timeout=SECONDS).type
    assert (True, True) == (heard.empty(), also.empty())


def test_a_handler_hears_of_the_start_however_late_it_is_set() -> None:
    """
    Also when others were told before, who do not hear it twice; and so does one that replaces it.
    """
    target = Target()
    first = listen(target, "online")
    target._came_up()
    assert "online" == first.get(timeout=SECONDS).type
    target.add_event_listener("online", first.put, once=True)
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for number in range(2):
        target.ononline = lambda event, number=number: heard.put((number, event.type))
        assert (number, "online") == heard.get(timeout=SECONDS)
    target._arrive(message(1))
    assert "message" == listen(target, "message").get(timeout=SECONDS).type
    target._has_exited(0)
    assert "exit" == listen(target, "exit").get(timeout=SECONDS).type
    # It is not the last word.
    target.ononline = heard.put
    assert not target._has_work()
    assert (True, True) == (first.empty(), heard.empty())


def test_a_process_that_is_told_to_end_is_not_told_to_be_ready() -> None:
    """
    What comes after ``terminate`` is the exit alone.
    """
    target = Target()
    target._die()
    target._came_up()
    heard = listen(target, "online", "exit")
    target._has_exited(0)
    assert "exit" == heard.get(timeout=SECONDS).type
    assert heard.empty()


def test_without_listeners_for_messages_errors_do_not_wait() -> None:
    """
    Messages stay for ``receive``; errors and the exit are told.
    """
    target = Target()
    heard = listen(target, "error", "exit")
    target._arrive(message(1))
    target._error_came(error("x"))
    target._has_exited(-9)
    assert "x" == heard.get(timeout=SECONDS).message
    event = heard.get(timeout=SECONDS)
    assert (None, 9) == (event.code, event.signal)
    assert 1 == target.receive(SECONDS).data
    with pytest.raises(PortClosedError):
        target.receive(SECONDS)


def test_the_end_does_not_wait_for_who_reads() -> None:
    """
    `close` and `exit` come in that order; what waits is then received, or heard by who listens.
    """
    target = Target()
    heard = listen(target, "close", "exit")
    for value in (1, 2):
        target._arrive(message(value))
    target._has_exited(0)
    assert ["close", "exit"] == [heard.get(timeout=SECONDS).type for _ in range(2)]
    assert 1 == target.receive(SECONDS).data
    assert 2 == listen(target, "message").get(timeout=SECONDS).data
    assert heard.empty()


def test_the_dead_tell_the_exit_only() -> None:
    """
    Once it is over for the host, whatever came or comes is dropped.
    """
    target = Target()
    target._arrive(message(1))
    target._error_came(error("x"))
    heard = listen(target, "message", "error", "close", "exit")
    target._die()
    while not heard.empty():
        heard.get()
    target._arrive(message(2))
    target._error_came(error("y"))
    target._has_exited(0)
    assert "exit" == heard.get(timeout=SECONDS).type
    assert heard.empty()


def test_somebody_listens() -> None:
    """
    A target with listeners is to be kept, until the exit has been told.
    """
    target = Target()
    heard = listen(target, "exit")
    assert True is target.is_kept
    target.onerror = print
    target.onerror = None
    assert True is target.is_kept
    target._has_exited(0)
    assert "exit" == heard.get(timeout=SECONDS).type
    assert False is target.dispatch_event(Event("other")) or not target.is_kept


def test_nobody_listens(capfd: pytest.CaptureFixture[str]) -> None:
    """
    An error that nobody hears is written to standard error.
    """
    target = Target()
    target._error_came(error("x"))
    target._failed(RuntimeError("could not be loaded"))
    # The next event comes after what was written.
    heard = listen(target, "exit")
    target._has_exited(1)
    assert "exit" == heard.get(timeout=SECONDS).type
    written = capfd.readouterr().err
    assert written.startswith("Uncaught in <")
    assert "Traceback" in written
    assert "RuntimeError: could not be loaded" in written


@pytest.mark.parametrize("answer", [True, None, False])
@pytest.mark.parametrize(
    ("failed", "goes_on"),
    [(False, {True: 0, None: 1, False: 1}), (True, {})],
    ids=["error", "load"],
)
def test_what_goes_on_to_who_made_this_worker(
    failed: bool, goes_on: dict[bool | None, int], answer: bool | None
) -> None:
    """
    An error that no listener has handled, and of a script that did not load what nobody has heard.
    """
    passed: list[str] = []
    uncaught.install(lambda event, origin: passed.append(event.message))
    try:
        for is_heard in (True, False):
            target = Target()
            if is_heard:
                target.onerror = lambda event: answer
            if failed:
                target._failed(RuntimeError("x"))
            else:
                target._error_came(error("x"))
            heard = listen(target, "exit")
            target._has_exited(1)
            assert "exit" == heard.get(timeout=SECONDS).type
            assert (goes_on.get(answer, 0) if is_heard else 1) == len(passed)
            passed.clear()
    finally:
        uncaught.install(None)
