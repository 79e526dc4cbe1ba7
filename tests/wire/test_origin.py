"""
Which functions and classes went out, and which came in, is remembered by process.
"""

from __future__ import annotations

import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import codec, origin

if TYPE_CHECKING:
    from tests.script import ScriptRunner

NESTED = """
import dataclasses
from tests.wire.other_process import OtherProcess

@dataclasses.dataclass
class Point:
    x: int
def make(): return Point(1)
def give(value): return value
def through_another(value):
    from tests.wire.other_process import OtherProcess
    with OtherProcess() as inner:
        made = inner(make)
        assert type(made) is Point
        assert type(inner(give, value)) is Point
        return made, inner(give, Point), inner(give, give)

if __name__ == "__main__":
    with OtherProcess() as other:
        made, cls, fn = other(through_another, Point(2))
    assert type(made) is Point and cls is Point and fn is give
    print("done")
"""


def _module_level() -> None: ...


module_level: Any = _module_level


class ModuleLevel: ...


def local() -> Any:
    def inner() -> None: ...

    return inner


@pytest.mark.slow
def test_a_worker_may_be_a_host(run_script: ScriptRunner) -> None:
    """
    A class goes down two processes and comes home through both as the host's own.
    """
    done = run_script(NESTED)
    assert ("", "done\n") == (done.stderr, done.stdout)


def test_serials_last() -> None:
    """
    An object has one serial for its life, and no other has it.
    """
    assert origin.serial(module_level) == origin.serial(module_level)
    assert origin.serial(module_level) != origin.serial(ModuleLevel)


def test_only_what_a_module_holds_is_kept() -> None:
    """
    A function that its module keeps alive may come back by reference; a local one is not held.
    """
    inner = local()
    assert origin.ship(module_level, "kept")
    assert not origin.ship(inner, "not kept")
    assert origin.shipped("kept", "_module_level") is module_level
    with pytest.raises(LookupError, match=r"^'inner' came back"):
        origin.shipped("not kept", "inner")


def test_what_came_in_belongs_to_the_host() -> None:
    """
    Only a function whose original the sender keeps goes back by reference.
    """
    kept, other = local(), local()
    origin.receive_function(kept, "ident of kept", True)
    origin.receive_function(other, "ident of other", False)
    assert ["ident of kept", None, None] == [
        origin.host_ident(fn) for fn in (kept, other, module_level)
    ]
    assert origin.is_born_here(module_level)
    assert not origin.is_born_here(kept)
    assert "ident of other" == origin.function_ident(other)
    assert origin.ship(kept, "ident of kept")
    assert origin.born_here("ident of kept") is None


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """
    Put an empty `__main__` in the place of this process's, as a worker has one.
    """
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setattr(codec, "is_stand_in", True)
    return module.__dict__


def of_main(name: str) -> Any:
    fn = local()
    fn.__module__, fn.__qualname__ = "__main__", name
    return fn


def test_what_came_is_found_under_its_name(main: dict[str, Any]) -> None:
    """
    A function of the host's `__main__` stands in the worker's until the host sends another.
    """
    first, second = of_main("given"), of_main("given")
    for ident, fn in (("ident of first", first), ("ident of second", second)):
        origin.receive_function(fn, ident, True)
        origin.settle(fn)
        assert main["given"] is fn is origin.settled(ident)


def test_what_the_worker_has_put_there_stays(main: dict[str, Any]) -> None:
    """
    Only what the host had under the same name gives way.
    """
    given, replacement = of_main("replaced"), of_main("replacement")
    main["replaced"] = replacement
    origin.receive_function(replacement, "ident of replacement", True)
    origin.receive_function(given, "ident of given", True)
    origin.settle(given)
    assert main["replaced"] is replacement
    assert origin.settled("ident of given") is None


def test_only_what_its_module_holds_is_found(main: dict[str, Any]) -> None:
    """
    What is local to a function, or a class, or of another module, gets no name.
    """
    inner, method, other = of_main("inner"), of_main("Class.method"), local()
    origin.receive_function(inner, "ident of inner", False)
    origin.receive_function(method, "ident of method", True)
    origin.receive_function(other, "ident of another", True)
    for fn in (inner, method, other):
        origin.settle(fn)
    assert main.keys().isdisjoint(("inner", "Class.method", other.__qualname__))


def test_a_class_gets_its_attributes_once() -> None:
    """
    A class that came in is unfinished until its attributes are set.
    """

    class Received: ...

    origin.receive_class(Received, "ident of Received", False)
    assert origin.is_unfinished(Received)
    origin.finish(Received)
    assert not origin.is_unfinished(Received)


def test_globals_are_set_if_new_or_changed() -> None:
    """
    Of the globals that arrive, those are selected that the sender has changed since.
    """
    own = origin.variables("another process:__main__", {"__name__": "__main__"})
    assert own is origin.variables("another process:__main__", {})
    assert {"a": 1} == origin.changed(own, {"a": 1}, {"a": "version 1"})
    assert {} == origin.changed(own, {"a": 1}, {"a": "version 1"})
    assert {"a": 2, "b": 3} == origin.changed(own, {"a": 2, "b": 3}, {"a": "2", "b": None})
    assert {"b": 3} == origin.changed(own, {"b": 3}, {"b": None})
    assert {"c": 1} == origin.changed({}, {"c": 1}, {"c": "1"})


def test_globals_that_an_initializer_has_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Until the sender changes its own; but what it has sent by another way is not the worker's, nor
    is what a task has left.
    """
    monkeypatch.setattr(codec, "names_of_initializer", frozenset({"model", "given", "__doc__"}))
    own = origin.variables("a third process:__main__", {"__name__": "__main__", "__doc__": None})
    given, again = of_main("given"), of_main("given")
    origin.receive_function(given, "ident of what was given", True)
    own.update(model="set here", given=given, left="by a task")
    arrived = {"model": None, "given": again, "__doc__": "text", "left": "by the sender"}
    versions: dict[str, object] = {"model": "1", "given": "2", "__doc__": "3", "left": "4"}
    selected = {name: arrived[name] for name in ("given", "__doc__", "left")}
    assert selected == origin.changed(own, arrived, versions)
    assert {"model": 5} == origin.changed(own, {"model": 5}, {"model": None})


def test_the_users_own_module_is_never_lent() -> None:
    """
    What another process made from this one's globals gets new ones here.
    """
    main = sys.modules["__main__"].__dict__
    fn: Any = eval("lambda: 0", main)
    namespace = origin.namespace_of(fn.__globals__)
    assert namespace is not None
    base: dict[str, object] = {}
    assert origin.variables(namespace, base) is base
    assert origin.namespace_of(module_level.__globals__) is None


def test_it_runs_without_a_main_that_has_a_file() -> None:
    """
    A program from the command line is no different.
    """
    program = (
        "from webworker_executor.wire import codec\n"
        "x = 1\n"
        "f = lambda: x\n"
        "assert codec.unpack(codec.pack(f).payload) is not None"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (0, b"") == (done.returncode, done.stderr)
