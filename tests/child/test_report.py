"""
Tests of `webworker_executor.child.report`: exceptions that a script did not catch.
"""

from __future__ import annotations

import sys
from _pickle import loads
from typing import Any

from webworker_executor.child.report import Reporter, own_frames
from webworker_executor.child.scope import Scope
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.failure import unpack_failure
from webworker_executor.wire.frame import FROM_SCRIPT


class Post:
    """
    Keeps what was posted, unpacked.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __call__(self, parts: Any, fds: Any) -> None:
        (frame,) = FrameDecoder(FROM_SCRIPT).feed(b"".join(parts))
        self.told.append(loads(frame.payload))


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
    Reporter(Scope(), post).report(error)
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
    Reporter(scope, post).report(failure("x"))
    assert [] == post.told


def test_a_listener_that_fails() -> None:
    """
    What it raises is told after the error itself, even if another has handled that.
    """
    post, scope = Post(), Scope()
    reporter = Reporter(scope, post)
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


def test_frames_of_our_own() -> None:
    """
    The package's outermost frames are counted, and nobody else's.
    """
    assert 0 == own_frames(None)
    assert 0 == own_frames(failure("x").__traceback__)
    try:
        Scope().close()
    except RuntimeError:
        trace = sys.exc_info()[2]
        assert trace is not None
        assert 0 == own_frames(trace)
        assert 2 == own_frames(trace.tb_next)
