"""
Context variables reach the task, by the name of the module attribute that holds them.
"""

from __future__ import annotations

import sys
import types
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from tests.wire.other_process import OtherProcess
from webworker_executor.wire import codec, variable

REQUEST: ContextVar[Any] = ContextVar("request", default="nobody's")
LARGE: ContextVar[Any] = ContextVar("large")


def get_request() -> object:
    return REQUEST.get()


def in_context(values: dict[ContextVar[Any], object], call: Any, *args: Any) -> Any:
    """
    Call something in a context that has only these values.
    """

    def set_and_call() -> object:
        for each, value in values.items():
            each.set(value)
        return call(*args)

    return Context().run(set_and_call)


@pytest.mark.slow
def test_a_module_level_variable_reaches_the_task() -> None:
    """
    The task sees the caller's value, and only for as long as it runs.
    """
    with OtherProcess() as other:
        assert 7 == in_context({REQUEST: 7}, other, get_request)
        assert "nobody's" == in_context({}, other, get_request)


def test_an_empty_context_is_nothing() -> None:
    """
    Without values, or without any that can be carried, there is nothing to send.
    """
    unnamed: ContextVar[int] = ContextVar("unnamed")
    assert in_context({}, variable.capture) is None
    assert in_context({unnamed: 1}, variable.capture) is None
    assert in_context({unnamed: 2}, variable.capture) is None


@pytest.mark.parametrize("value", [lambda: 0, bytes(70_000), "__main__"])
def test_what_cannot_be_carried_is_left_out(value: object) -> None:
    """
    A value that does not pickle, is large, or is of `__main__` stays behind, and the others go.
    """
    carried = in_context({LARGE: value, REQUEST: 1}, variable.capture)
    assert [(__name__, "REQUEST", "request")] == [entry[:3] for entry in carried]


def test_the_call_runs_in_a_copy_of_the_context() -> None:
    """
    What was set before is seen by the call, and what it sets is gone after it, and after its end
    where that comes later.
    """

    def call() -> tuple[object, object]:
        before = REQUEST.get(), LARGE.get()
        REQUEST.set("inside")
        return before

    carried = in_context({REQUEST: "caller's"}, variable.capture)

    def task() -> tuple[object, object]:
        def finish(value: object) -> object:
            return value, REQUEST.get()

        seen = variable.run_in_context(carried, call, (), {}, finish)
        return seen, REQUEST.get()

    assert ((("caller's", "here"), "inside"), "nobody's") == in_context({LARGE: "here"}, task)


def test_a_variable_that_is_not_there_is_left_out() -> None:
    """
    A value that does not unpickle does not keep the call from being made.
    """
    carried = [(__name__, "REQUEST", "request", b"no pickle")]
    run = variable.run_in_context
    assert "nobody's" == in_context({}, run, carried, get_request, (), {}, str)


def test_a_variable_goes_by_name() -> None:
    """
    A context variable inside a value is the module's own variable in the end.
    """
    assert codec.unpack(codec.pack([REQUEST]).payload) == [REQUEST]


def test_an_unnamed_variable_is_refused() -> None:
    """
    A variable that no module holds raises a TypeError that says what to do.
    """
    with pytest.raises(TypeError, match="Make it a global of a module"):
        codec.pack(ContextVar("unnamed"))


def test_a_module_is_preferred_to_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A variable that `__main__` only imported is named by the module that it came from.
    """
    both: ContextVar[int] = ContextVar("both")
    monkeypatch.setattr(sys.modules["__main__"], "both", both, raising=False)
    monkeypatch.setattr(sys.modules[__name__], "BOTH", both, raising=False)
    assert (__name__, "BOTH") == variable.place_of(both)


@pytest.mark.parametrize("default", [(), ("its default",)])
def test_a_variable_of_main_has_a_stand_in(
    monkeypatch: pytest.MonkeyPatch, default: tuple[str, ...]
) -> None:
    """
    A variable of another process's `__main__` is one and the same variable here each time.
    """
    name = f"only_main_{len(default)}"
    mine: ContextVar[Any] = ContextVar(name, default=default[0]) if default else ContextVar(name)
    monkeypatch.setattr(sys.modules["__main__"], name, mine, raising=False)
    payload = codec.pack(mine).payload
    stand_in: Any = codec.unpack(payload)
    again: Any = codec.unpack(payload)
    assert [True, False] == [each is stand_in for each in (again, mine)]
    assert default == copy_context().run(lambda: (stand_in.get(),) if default else ())
    assert ("__main__", name) == variable.place_of(stand_in)
    carried = in_context({mine: 5}, variable.capture)
    assert 5 == in_context({}, variable.run_in_context, carried, stand_in.get, (), {}, int)


@pytest.mark.parametrize("place", [("no.such.module", "attribute"), ("sys", "no_such_attribute")])
def test_a_place_that_is_not_here_gets_a_stand_in(place: tuple[str, str]) -> None:
    """
    A module that cannot be imported, or lost its variable, does not fail the task.
    """
    first = variable.context_variable(*place, "name")
    assert first is variable.context_variable(*place, "name")
    assert "name" == first.name


def test_an_attribute_of_another_kind_is_not_taken() -> None:
    """
    What is no context variable is not used as one.
    """
    assert type(variable.context_variable("sys", "path", "name")) is ContextVar


def test_a_variable_of_a_module_that_is_being_imported_is_one_without_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Its module's body has run in part, and is not to run in the other process.
    """
    half: Any = types.ModuleType("half_module")
    half.__spec__ = types.SimpleNamespace(_initializing=True)
    half.variable = ContextVar("of_half")
    monkeypatch.setitem(sys.modules, "half_module", half)
    (entry,) = in_context({half.variable: 5}, variable.capture)
    assert ("<half_module>", "variable", "of_half") == entry[:3]
    make, named = variable.reduce_variable(half.variable)
    assert entry[:3] == named
    assert half.variable is make(*named)
    monkeypatch.delitem(sys.modules, "half_module")
    stand_in: Any = make(*named)
    assert stand_in is make(*named)
    assert ("half_module", "variable") == variable.place_of(stand_in)
