"""
Tests of `webworker_executor.child.report`: exceptions that a script did not catch.
"""

from __future__ import annotations

import threading
from _pickle import loads
from collections import deque
from typing import TYPE_CHECKING, Any

from webworker_executor.child.report import Reporter
from webworker_executor.child.scope import Scope
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.failure import unpack_failure
from webworker_executor.wire.kinds import FROM_SCRIPT

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.event import Event


class Post:
    """
    Keeps what was posted, unpacked.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __call__(self, parts: Any, fds: Any) -> None:
        (frame,) = FrameDecoder(FROM_SCRIPT).feed(b"".join(parts))
        self.told.append(loads(frame.payload))


def call_soon(call: Callable[[], object]) -> None:
    raise AssertionError(f"nothing is for later, and {call} is")


def nothing() -> None:
    pass


def failure(text: str) -> ValueError:
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_what_the_host_is_told() -> None:
    """
    Text, place and the exception itself.
    """
    post = Post()
    error = failure("x")
    Reporter(Scope(), post, call_soon, nothing).report(error)
    ((message, filename, lineno, colno, text, packed),) = post.told
    assert ("ValueError: x", __file__) == (message, filename)
    assert error.__traceback__ is not None
    assert (error.__traceback__.tb_lineno, 9) == (lineno, colno)
    assert text.startswith("Traceback (most recent call last):")
    assert ("x",) == unpack_failure(packed).args


def test_handled_here() -> None:
    """
    What a listener has handled goes nowhere.
    """
    post, scope = Post(), Scope()
    scope.onerror = lambda event: True
    Reporter(scope, post, call_soon, nothing).report(failure("x"))
    assert [] == post.told


def test_a_listener_that_fails() -> None:
    """
    What it raises is told after the error itself, even if another has handled that.
    """
    post, scope = Post(), Scope()
    reporter = Reporter(scope, post, call_soon, nothing)
    scope._report_error = reporter.report  # type: ignore[method-assign,assignment]  # as in a script

    def fail(event: object) -> None:
        raise failure("second")

    scope.onerror = fail
    reporter.report(failure("first"))
    assert ["ValueError: first", "ValueError: second"] == [told[0] for told in post.told]
    post.told.clear()
    scope.add_event_listener("error", lambda event: event.prevent_default())
    reporter.report(failure("first"))
    assert ["ValueError: second"] == [told[0] for told in post.told]


def test_who_is_told_of_what_went_unhandled() -> None:
    """
    Whoever decides what becomes of the worker, after the host; not of what was handled.
    """
    post, scope = Post(), Scope()
    unhandled: list[int] = []
    reporter = Reporter(scope, post, call_soon, lambda: unhandled.append(len(post.told)))
    reporter.report(failure("x"))
    assert [1] == unhandled
    scope.onerror = lambda event: True
    reporter.report(failure("x"))
    assert [1] == unhandled


def in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10.0)


def test_another_thread_where_nobody_listens() -> None:
    """
    The host is told at once: the main thread may be waiting for ever.
    """
    post = Post()
    reporter = Reporter(Scope(), post, call_soon, nothing)
    in_thread(lambda: reporter.report(failure("x")))
    assert ["ValueError: x"] == [told[0] for told in post.told]


def test_another_thread_where_somebody_listens() -> None:
    """
    The listener runs on the main thread, when that has its turn or at the end.
    """
    calls: deque[Callable[[], object]] = deque()
    threads: list[threading.Thread] = []
    post, scope = Post(), Scope()
    reporter = Reporter(scope, post, calls.append, nothing)

    def note(event: Event) -> bool:
        threads.append(threading.current_thread())
        return True

    scope.onerror = note
    for report in (calls.popleft, lambda: reporter.report_late):
        in_thread(lambda: reporter.report(failure("x")))
        assert [] == threads
        report()()
        assert [threading.main_thread()] == threads
        threads.clear()
    assert [] == post.told
