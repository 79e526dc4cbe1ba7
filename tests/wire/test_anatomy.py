"""
Tests of `webworker_executor.wire.anatomy`: no state of an exception is overlooked.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.wire import broken
from tests.wire.crossing import cross
from webworker_executor.wire.anatomy import (
    attributes_of,
    builtin_name,
    class_name,
    dict_of,
    fields_of,
    has_stock_state,
    set_attribute,
    set_field,
)

BUILTINS = [
    ValueError("x", 1),
    KeyError("missing"),
    SystemExit(3),
    SystemExit(),
    SystemExit("text"),
    KeyboardInterrupt(),
    GeneratorExit("x"),
    StopIteration(5),
    StopAsyncIteration(6),
    UnicodeEncodeError("ascii", "aé", 1, 2, "not in range"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad start"),
    UnicodeTranslateError("aé", 1, 2, "why"),
    SyntaxError("bad", ("f.py", 1, 2, "a b", 1, 3)),
    IndentationError("bad", ("f.py", 3, 2, "a b")),
    FileNotFoundError(2, "No such file", "a", None, "b"),
    OSError("only text"),
    OSError(),
    BlockingIOError(11, "again", 5),
    ImportError("no", name="n", path="p"),
    ModuleNotFoundError("no", name="n"),
    NameError("n", name="n"),
    AttributeError("a", name="a", obj="text"),
    RecursionError("deep"),
    MemoryError(),
    AssertionError(),
    EOFError(),
    Warning("w"),
    TimeoutError(),
    subprocess.CalledProcessError(3, ["a"], b"out", b"err"),
    json.JSONDecodeError("bad", "doc", 1),
]
FIELDS = """
    args code value encoding object start end reason msg filename lineno offset text end_lineno
    end_offset errno strerror filename2 characters_written name path name_from obj returncode cmd
    output stderr doc pos colno
"""


def looks(exc: BaseException) -> dict[str, object]:
    """
    Return everything that tells exceptions of the standard library apart.
    """
    seen: dict[str, object] = {"type": type(exc), "str": str(exc), "repr": repr(exc)}
    for field in FIELDS.split():
        try:
            seen[field] = getattr(exc, field)
        except AttributeError:
            continue
    return seen


@pytest.mark.parametrize("exc", BUILTINS, ids=repr)
def test_standard_exceptions_arrive_with_all_their_state(exc: BaseException) -> None:
    """
    What pickle forgets of a builtin exception (SystemExit.code, SyntaxError.text ...) arrives too.
    """
    assert looks(exc) == looks(cross(exc))


def test_unset_state_stays_unset() -> None:
    """
    A bare StopIteration or UnicodeDecodeError made by `__new__` crosses as it is.
    """
    assert str(UnicodeDecodeError.__new__(UnicodeDecodeError)) == str(
        cross(UnicodeDecodeError.__new__(UnicodeDecodeError))
    )


class Deceptive(type):
    """
    Hides the names of its classes.
    """

    @property
    def __module__(cls) -> str:  # type: ignore[override]  # that is the point
        raise SystemExit


def test_names_of_classes_are_a_tracebacks() -> None:
    """
    Builtin classes stand without their module, and a class that hides its name is no obstacle.
    """
    assert "ValueError" == class_name(ValueError)
    assert "tests.wire.broken.Falsy" == class_name(broken.Falsy)
    assert "an exception" == class_name(Deceptive("Hidden", (), {}))


def test_only_builtins_go_by_their_name_alone() -> None:
    """
    A class that merely has the name of a builtin is not taken for it.
    """
    assert "ValueError" == builtin_name(ValueError)
    assert builtin_name(type("ValueError", (Exception,), {})) is None


def test_attributes_with_odd_names_are_left_out() -> None:
    """
    What is no text cannot be the name of an attribute on the other side.
    """
    exc = ValueError()
    dict_of(exc).update({"kept": 1, 5: 2})  # type: ignore[dict-item]  # that is the point
    assert [("kept", 1)] == list(attributes_of(exc))


def test_attributes_are_set_past_the_class() -> None:
    """
    Slots and attributes are set whatever `__setattr__` says.
    """
    slotted, frozen = broken.Slotted(1), broken.Frozen()
    set_attribute(slotted, "place", 2)
    set_attribute(frozen, "kept", 3)
    assert (2, {"kept": 3}) == (slotted.place, frozen.__dict__)


def test_large_objects_of_attribute_errors_stay() -> None:
    """
    What a misspelt name was looked up on crosses only if it is small and can.
    """
    for obj, is_sent in ((b"a" * 10**6, False), (cross, True), (lambda: 0, False)):
        exc = AttributeError("a", name="n", obj=obj)
        assert is_sent is ("obj" in dict(fields_of(exc)))


def test_fields_take_only_what_fits() -> None:
    """
    A value that the builtin class refuses leaves the field as it was.
    """
    exc = BlockingIOError(11, "again", 5)
    set_field(exc, "characters_written", "text")
    set_field(exc, "no_such_field", 1)
    set_field(exc, "strerror", "set")
    assert (5, "set") == (exc.characters_written, exc.strerror)


def test_only_a_state_that_an_author_wrote_is_asked_for() -> None:
    """
    What a compiler puts into an exception's class, as mypyc does, is no author's.
    """

    class Compiled(Exception):
        __getstate__ = BaseException.__reduce__

    assert has_stock_state(ValueError)
    assert has_stock_state(Compiled)
    assert not has_stock_state(broken.StateOfItsOwn)
