"""
Tests of `webworker_executor.web.culprit`: which part of a message stood in the way.
"""

from __future__ import annotations

import functools
import re
import threading
from collections import deque
from typing import Any

import pytest

from webworker_executor import (
    AbortController,
    DataCloneError,
    MessageChannel,
    SharedBuffer,
    WebWorkerExecutor,
    wrap,
)
from webworker_executor.web.culprit import ADVICE, point_out
from webworker_executor.wire import codec

LOCK = threading.Lock()
GENERATOR = (number for number in range(0))


class Box:
    """Holds something."""

    def __init__(self, held: object) -> None:
        self.held = held

    def look(self) -> object:
        """Return it."""
        return self.held


class Slotted:
    """Holds something as well."""

    __slots__ = ("__held", "unset")

    def __init__(self, held: object) -> None:
        self.__held = held


class Both(Slotted):
    """Has a slot of its base, and attributes."""


class Filled(dict[str, object]):
    """Has attributes beside its items."""

    other: object = None


def filled() -> Filled:
    """Make one of which an attribute cannot be sent."""
    value = Filled(a=1)
    value.other = [LOCK]
    return value


def annotated() -> Exception:
    """Make an exception of which an attribute cannot be sent."""
    error = KeyError("k")
    error.lock = LOCK  # type: ignore[attr-defined]  # it may have any
    return error


def closure(held: object) -> Any:
    """Make a function that goes by value, because nobody can import it, with a variable."""
    return lambda: held


def defaults() -> Any:
    """Make one with defaults."""

    def fn(a: object = 1, b: object = LOCK, *, c: object = LOCK) -> object:
        return a, b, c

    return fn


class Fails:
    """Has a hook with a mistake of its own."""

    def __reduce__(self) -> Any:
        return self.nonsense  # type: ignore[attr-defined]  # that is the mistake


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (LOCK, "message"),
        ([1, [LOCK]], "message[1][0]"),
        ({"a": [1, 2, Box(LOCK)]}, 'message["a"][2].held'),
        ({1: {(2, 3): LOCK}}, "message[1][(2, 3)]"),
        (GENERATOR, "message"),
        ({"x": Box(Box({"deep": LOCK}))}, 'message["x"].held.held["deep"]'),
        (Slotted([LOCK]), "message._Slotted__held[0]"),
        (Both(LOCK), "message._Slotted__held"),
        (deque([1, LOCK]), "message[1]"),
        (filled(), "message.other[0]"),
        (ValueError(1, [LOCK]), "message.args[1][0]"),
        (annotated(), "message.lock"),
        (ExceptionGroup("two", [ValueError(1), ValueError(LOCK)]), "message.args[1][1].args[0]"),
        (closure([LOCK]), 'message.__closure__["held"][0]'),
        (closure(closure(LOCK)), 'message.__closure__["held"].__closure__["held"]'),
        (defaults(), "message.__defaults__[1]"),
        ([lambda: LOCK], 'message[0].__globals__["LOCK"]'),
    ],
)
def test_the_part_is_named(message: Any, path: str) -> None:
    """The error names the way to the smallest part that cannot be sent."""
    with MessageChannel() as channel, pytest.raises(DataCloneError) as caught:
        channel.port1.post_message(message)
    assert str(caught.value).startswith(f"{path} cannot be sent: ")
    assert caught.value.__cause__ is not None


def test_what_says_itself_that_it_stays() -> None:
    """It is named as a whole, and no advice is added to its own."""
    with MessageChannel() as channel, WebWorkerExecutor(1, launcher="fork") as pool:
        for one in (pool, pool.submit(int), AbortController()):
            with pytest.raises(DataCloneError) as caught:
                channel.port1.post_message([1, {"a": one}])
            name = type(one).__name__
            assert re.match(rf'message\[1\]\["a"\] cannot be sent: an? {name} ', str(caught.value))
            assert ADVICE not in str(caught.value)
            assert one is caught.value.part
        exc = pool.submit(print, [pool]).exception(10.0)
        assert isinstance(exc, TypeError)
        assert ["args[0][0] cannot be sent"] == exc.__notes__


def test_an_error_of_a_hook_is_the_users_own() -> None:
    """What a user's own code raises comes out as it is."""
    with MessageChannel() as channel, pytest.raises(AttributeError, match="nonsense"):
        channel.port1.post_message([Fails()])


def note_of(value: object, **parts: object) -> list[str]:
    """Return the notes of what packing a value raises."""
    with pytest.raises((TypeError, AttributeError), match=r".") as caught:
        codec.pack(value)
    message = str(caught.value)
    point_out(caught.value, parts)
    assert message == str(caught.value)
    return getattr(caught.value, "__notes__", [])


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([1, {"a": LOCK}], 'args[1]["a"]'),
        ([Box(LOCK).look], "args[0].__self__.held"),
        ([functools.partial(print, 1, LOCK)], "args[0].args[1]"),
    ],
)
def test_a_note_names_the_part(value: object, path: str) -> None:
    """The error stays what it is, and tells which of several parts it is about."""
    (note,) = note_of(value, fn=print, args=value)
    assert note.startswith(f"{path} cannot be sent. It belongs to its process: ")


async def nothing() -> None:
    """Be a coroutine that nobody has run."""


def test_the_advice_can_be_followed() -> None:
    """Nobody can give a type of C a ``__reduce__``; and what yields has a way of its own."""
    error: Exception = TypeError("cannot pickle 'Box' object")
    point_out(error, {"worker_data": Box(1)})
    assert [f"worker_data cannot be sent. {ADVICE}"] == error.__notes__
    (note,) = note_of(GENERATOR, result=GENERATOR)
    assert note.startswith("result cannot be sent. Call executor.stream() instead")
    (note,) = note_of([GENERATOR], result=[GENERATOR])
    assert note.startswith("result[0] cannot be sent. It stays in its process: send its function")
    coroutine = nothing()
    (note,) = note_of([coroutine], args=[coroutine])
    assert note.startswith("args[0] cannot be sent. It stays in its process: send its function")
    coroutine.close()
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    error = RecursionError("maximum recursion depth exceeded")
    point_out(error, {"worker_data": deep})
    (note,) = error.__notes__
    assert note.endswith(ADVICE)


def test_what_a_call_of_a_proxy_takes_is_named_as_it_was_given() -> None:
    """Not by its place in the message that goes."""
    with MessageChannel() as channel:
        remote: Any = wrap(channel.port1)
        with pytest.raises(DataCloneError, match=r'^args\[0\]\["a"\]\[0\] cannot be sent: '):
            remote.add({"a": [LOCK]})
        with pytest.raises(DataCloneError, match=r'^kwargs\["b"\] cannot be sent: '):
            remote.add(1, b=LOCK)


def test_a_note_on_what_a_hook_has_raised() -> None:
    """Of a single part it says that it is that one, without advice; of several it is not known."""
    assert ["worker_data cannot be sent"] == note_of([Fails()], worker_data=[Fails()])
    assert [] == note_of([Fails()], fn=print, args=[Fails()])


class Shy:
    """Does not let anybody look into it."""

    def __init__(self) -> None:
        self.lock = LOCK

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__" and is_guarded:
            raise RuntimeError("not today")
        return super().__getattribute__(name)


is_guarded = False


def test_what_cannot_be_looked_into_gets_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the packing is not replaced by one of the search."""
    with pytest.raises(TypeError, match="lock") as caught:
        codec.pack(LOCK)
    monkeypatch.setattr(f"{__name__}.is_guarded", True)
    point_out(caught.value, {"args": Shy()})
    assert not hasattr(caught.value, "__notes__")


def test_a_note_on_what_was_closed() -> None:
    """What names the object by itself needs no search, and no other advice."""
    shared = SharedBuffer(1)
    shared.close()
    with WebWorkerExecutor(1, launcher="fork") as pool:
        exc = pool.submit(print, 1, {"a": shared}).exception(10.0)
    assert isinstance(exc, DataCloneError)
    assert ['args[1]["a"] cannot be sent'] == exc.__notes__
