"""The class that is asked: read from a command line, carried into programs, made."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.conformance.subject import OURS, VARIABLE, Subject

LITERALS = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


@given(st.text(), st.dictionaries(st.from_regex("[a-z_]+", fullmatch=True), LITERALS))
def test_a_subject_travels(target: str, options: dict[str, object]) -> None:
    """What a program reads is what was asked."""
    subject = Subject(target, tuple(options.items()))
    assert subject == Subject.read(subject.text)


def test_a_command_line_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are literals where they can be, and texts otherwise."""
    subject = Subject.parse("a.b:C.D", ["number=3", "name=fork", "nothing=None", "text=a=b"])
    expected = {"number": 3, "name": "fork", "nothing": None, "text": "a=b"}
    assert ("a.b:C.D", expected) == (subject.target, dict(subject.options))
    assert "a.b:C.D number=3 name=fork nothing=None text=a=b" == subject.title
    monkeypatch.setenv(VARIABLE, subject.text)
    assert subject == Subject.here()


@pytest.mark.parametrize("target", ["", "C", "module:", ":C", "module.C"])
def test_a_class_has_a_module(target: str) -> None:
    """Another form is refused, with an example."""
    with pytest.raises(ValueError, match="is not of the form 'module:Class', such as"):
        Subject.parse(target)


@pytest.mark.parametrize("option", ["", "key", "=value", "a b=3"])
def test_an_option_has_a_value(option: str) -> None:
    """Another form is refused, with an example."""
    with pytest.raises(ValueError, match="such as 'mp_context=spawn'"):
        Subject.parse(OURS, [option])


def test_a_start_method_becomes_a_context() -> None:
    """The stdlib's executor is made with what its argument wants."""
    subject = Subject.parse("concurrent.futures:ProcessPoolExecutor", ["mp_context=spawn"])
    face = subject.make(3, initializer=int)
    pool: Any = face.pool
    assert isinstance(pool, ProcessPoolExecutor)
    members = vars(pool)
    assert ("spawn", 3) == (members["_mp_context"].get_start_method(), members["_max_workers"])
    face.end()


def test_what_is_missing_is_an_import_error() -> None:
    """Neither a module nor a class is made up."""
    with pytest.raises(ModuleNotFoundError):
        Subject("no_such_module:C").find()
    with pytest.raises(AttributeError):
        Subject("concurrent.futures:NoSuchClass").find()
