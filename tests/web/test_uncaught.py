"""
Tests of `webworker_executor.web.uncaught`: exceptions that nobody caught, and who hears of them.
"""

from __future__ import annotations

import json

import pytest

from webworker_executor.child.scope import Scope
from webworker_executor.web import uncaught
from webworker_executor.web.event import ErrorEvent
from webworker_executor.web.uncaught import error_event, is_passed_on, own_frames, tell_last


def caught(text: str) -> BaseException:
    try:
        json.loads(text)
    except ValueError as error:
        return error
    raise AssertionError


def test_an_event_of_an_exception() -> None:
    """
    It tells the innermost place, the text and the traceback, without the frames to be skipped.
    """
    error = caught("{")
    event = error_event(error, skip=1)
    assert error is event.error
    assert event.message.startswith("json.decoder.JSONDecodeError: Expecting")
    assert event.filename.endswith("json/decoder.py")
    assert event.lineno > 0
    assert event.colno > 0
    assert "in caught" not in event.traceback
    assert "in caught" in error_event(error).traceback


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("x"), "ValueError: x"),
        (ValueError(), "ValueError"),
        (ValueError("first\nsecond"), "ValueError: first\nsecond"),
        (SyntaxError("bad", ("file.py", 3, 5, "x = (", 3, 6)), "SyntaxError: bad"),
        (
            ExceptionGroup("some", [ValueError("x"), KeyError("y")]),
            "ExceptionGroup: some (2 sub-exceptions)",
        ),
    ],
)
def test_the_message_of_an_exception_with_notes(error: Exception, message: str) -> None:
    """
    It is the exception's own type and text; the notes, and all else, are in the traceback.
    """
    error.add_note("a note\nof two lines")
    error.add_note("second thought")
    event = error_event(error)
    assert message == event.message
    assert "a note\n" in event.traceback
    assert "second thought" in event.traceback
    assert ["a note\nof two lines", "second thought"] == error.__notes__


def test_places_that_are_not_known() -> None:
    """
    A syntax error stands where the source says, another that was never raised nowhere.
    """
    event = error_event(SyntaxError("bad", ("file.py", 3, 5, "x = (", 3, 6)))
    assert ("file.py", 3, 5) == (event.filename, event.lineno, event.colno)
    event = error_event(ValueError("x"))
    assert ("ValueError: x", "", 0, 0) == (
        event.message,
        event.filename,
        event.lineno,
        event.colno,
    )


def test_frames_of_our_own() -> None:
    """
    The package's outermost frames are counted, and nobody else's.
    """
    assert 0 == own_frames(None)
    assert 0 == own_frames(caught("{").__traceback__)
    try:
        Scope().close()
    except RuntimeError as error:
        trace = error.__traceback__
        assert trace is not None
        assert 0 == own_frames(trace)
        assert 2 == own_frames(trace.tb_next)


def test_the_place_of_a_call_that_raised_in_the_package() -> None:
    """
    It is where the user's code called; the traceback shows the rest of the way.
    """
    try:
        Scope().close()
    except RuntimeError as error:
        event, placeless = error_event(error), error_event(error, skip=1)
        trace = error.__traceback__
    assert trace is not None
    assert (__file__, trace.tb_lineno, 9) == (event.filename, event.lineno, event.colno)
    assert "in close" in event.traceback
    assert ("", 0, 0) == (placeless.filename, placeless.lineno, placeless.colno)


def test_an_exception_that_cannot_be_printed() -> None:
    """
    Whatever its class does, there is an event.
    """

    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert "Broken" in error_event(Broken()).message


def test_the_last_to_hear(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Standard error, unless somebody else is there to be told.
    """
    told: list[tuple[ErrorEvent, str]] = []
    event = ErrorEvent("ValueError: x", traceback="Traceback ...\n")
    tell_last(event, "<Worker>")
    assert "Uncaught in <Worker>:\nTraceback ...\n" == capsys.readouterr().err
    tell_last(ErrorEvent("only a text"), "<Worker>")
    assert "Uncaught in <Worker>:\nonly a text\n" == capsys.readouterr().err
    uncaught.install(lambda event, origin: told.append((event, origin)))
    try:
        assert is_passed_on()
        tell_last(event, "<Worker>")
    finally:
        uncaught.install(None)
    assert [(event, "<Worker>")] == told
    assert not is_passed_on()
    assert "" == capsys.readouterr().err
