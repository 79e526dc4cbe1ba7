"""
What a worker can import goes by name, and nothing else does.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import math
import pickle
import random
import sys
import types
from typing import TYPE_CHECKING, Any, NewType, ParamSpec

import cloudpickle
import pytest

from webworker_executor.wire import by_name
from webworker_executor.wire.forks import packing_for_forks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def function() -> None: ...


class Class:
    def method(self) -> None: ...


in_a_global = lambda: 0  # noqa: E731  because it is about a lambda that has a name
shadowed = function


def local() -> Any:
    def inner() -> None: ...

    return inner


@pytest.fixture
def module() -> Iterator[types.ModuleType]:
    """
    Offer a package's submodule with a function, as if imported.
    """
    package, module = types.ModuleType("package"), types.ModuleType("package.part")
    exec("def f(): pass\nclass C: pass", module.__dict__)
    sys.modules["package"], sys.modules["package.part"] = package, module
    yield module
    del sys.modules["package"], sys.modules["package.part"]


@pytest.mark.parametrize(
    "fn", [function, Class, Class.method, len, math.sqrt, dict, functools.partial, random.Random]
)
def test_what_a_module_holds_goes_by_name(fn: object) -> None:
    """
    Functions, builtins and classes that their module has under their name can be imported.
    """
    assert by_name.goes_by_name(fn)


@pytest.mark.parametrize(
    "fn", [in_a_global, local(), [].append, dict.fromkeys, random.random, type(None), lambda: 0]
)
def test_what_no_module_holds_does_not(fn: object) -> None:
    """
    Lambdas, local functions, and methods that are bound to an object cannot be imported.
    """
    assert not by_name.goes_by_name(fn)


def test_main_does_not(module: types.ModuleType) -> None:
    """
    Nothing of `__main__` goes by name, under either of its names.
    """
    for name in by_name.MAIN:
        module.f.__module__ = name
        assert not by_name.goes_by_name(module.f)


def test_a_lambda_in_a_global_is_found() -> None:
    """
    A lambda is of its module if some global of the module is that lambda.
    """
    assert by_name.is_module_level(in_a_global)
    assert not by_name.is_module_level(lambda: 0)
    # Of no module, whatever it says.
    for variables in ({}, {"__name__": __name__}):
        exec("fn = lambda: 0", variables)
        assert not by_name.is_module_level(variables["fn"])
    assert not by_name.is_module_level(local())


@pytest.mark.parametrize("importing", ["package", "package.part"])
def test_a_module_that_is_being_imported_is_out_of_reach(
    module: types.ModuleType, importing: str
) -> None:
    """
    While a module or its package is being imported, what it holds goes by value.
    """
    assert by_name.goes_by_name(module.f)
    assert not by_name.must_go_by_value(module.f)
    spec: Any = types.SimpleNamespace(_initializing=True)
    sys.modules[importing].__spec__ = spec
    assert by_name.is_being_imported("package.part")
    assert not by_name.goes_by_name(module.f)
    assert by_name.must_go_by_value(module.f)
    assert by_name.must_go_by_value(functools.partial(module.f))
    assert by_name.must_go_by_value(module.C().__init__) is False
    spec._initializing = False
    assert by_name.goes_by_name(module.f)


@pytest.fixture
def import_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """
    Offer to import a package ``busy_package`` with a ``part``, which ends with the given lines.
    """
    folder = tmp_path / "busy_package"
    folder.mkdir()
    (folder / "part.py").write_text("class C: pass\n")
    monkeypatch.syspath_prepend(tmp_path)

    def import_busy(lines: str) -> Any:
        (folder / "__init__.py").write_text(f"from busy_package import part\n{lines}")
        return importlib.import_module("busy_package")

    yield import_busy
    for name in ("busy_package", "busy_package.part"):
        sys.modules.pop(name, None)


MEETING = """
import colorsys, pickle
from webworker_executor.wire import by_name

class C: pass

def met(value, **options):
    return by_name.names_unreachable(pickle.dumps(value, 5), **options)

FOUND = [met(C()), met(("busy_package", C)), met([0.5, part.C()] * 3)]
OTHERS = [met(colorsys.rgb_to_hsv), met(("busy", len)), met(C(), to_host=True)]
"""


def test_what_is_being_imported_is_found_in_a_pickle(import_busy: Callable[[str], Any]) -> None:
    """
    While a package is being imported, a pickle that names it, or a part of it, is found out;
    except on its way to the host, which may have it.
    """
    busy = import_busy(MEETING)
    assert [True] * 3 == busy.FOUND
    assert [False] * 3 == busy.OTHERS
    assert not busy.met(busy.C())


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """
    Offer to load a module of any name from a file that no search finds.
    """
    names = []

    def load(name: str) -> Any:
        file = tmp_path / "lost.py"
        file.write_text("def f(): pass\nclass C:\n    def g(self): pass")
        spec: Any = importlib.util.spec_from_file_location(name, file)
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in names:
        del sys.modules[name]
        by_name.unreachable_names.discard(name.encode())


@pytest.mark.parametrize("name", ["lost", "tests.lost", "colorsys", "lost_package.part"])
def test_a_module_that_no_search_finds_goes_by_value(load: Callable[[str], Any], name: str) -> None:
    """
    What was read from a file that the other process would not look into, or behind another of its
    name, goes by value; into a forked process by name.
    """
    sys.modules.pop("colorsys", None)
    lost = load(name)
    assert by_name.is_lost(name)
    assert not by_name.goes_by_name(lost.f)
    assert not by_name.goes_by_name(lost.C)
    assert by_name.must_go_by_value(lost.C().g)
    assert name.encode() in by_name.unreachable_names
    assert packing_for_forks(by_name.goes_by_name, lost.f)


@pytest.mark.parametrize("name", ["lost", "tests.lost", "colorsys"])
def test_a_module_that_no_search_finds_is_found_in_a_pickle(
    load: Callable[[str], Any], name: str
) -> None:
    """
    Whether or not anybody has asked about it; into a forked process it goes by name.
    """
    sys.modules.pop("colorsys", None)
    assert not by_name.names_unreachable(pickle.dumps(dataclasses.field, 5))
    lost = load(name)
    payload = pickle.dumps([name, dataclasses.field, lost.C()], 5)
    assert by_name.names_unreachable(payload)
    assert not packing_for_forks(by_name.names_unreachable, payload)
    # Most names are part of some text, and that is no reason to do anything.
    assert not by_name.names_unreachable(pickle.dumps((f"{name}s", dataclasses.field), 5))


def test_a_module_whose_folder_is_no_longer_searched_is_found_in_a_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where modules are searched for is looked at as often as which there are.
    """
    (tmp_path / "left_behind.py").write_text("class C: pass")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        payload = pickle.dumps(importlib.import_module("left_behind").C(), 5)
        assert not by_name.names_unreachable(payload)
    assert by_name.names_unreachable(payload)
    del sys.modules["left_behind"]
    by_name.unreachable_names.discard(b"left_behind")


def test_what_stands_where_its_name_says_is_not_searched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    To search for each module of a program would take longer than a worker takes to start.
    """
    asked: list[str] = []
    monkeypatch.setattr(by_name, "_looked", (None, []))
    monkeypatch.setattr(by_name, "is_lost", asked.append)
    by_name.names_unreachable(pickle.dumps(dataclasses.field, 5))
    assert not {"json", "json.decoder", "logging", "pytest", __name__} & set(asked)
    assert len(asked) < len(sys.modules) / 10


def test_what_is_asked_of_a_search_is_what_the_other_process_will_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A package that adds a folder to its own is followed there; a finder that raises proves nothing.
    """
    (tmp_path / "wide_package").mkdir()
    (tmp_path / "more").mkdir()
    own = "__path__.append(__path__[0] + '/../more')"
    (tmp_path / "wide_package" / "__init__.py").write_text(own)
    (tmp_path / "more" / "part.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("wide_package.part", "wide_package"):
        module = importlib.import_module(name)
        # So that it is taken out of the table when the test is over.
        monkeypatch.setitem(sys.modules, name, module)
        assert not by_name.is_lost(name)

    class Finder:
        def find_spec(self, name: str, path: object) -> None:
            raise ZeroDivisionError(name)

    monkeypatch.setattr(sys, "meta_path", [Finder()])
    monkeypatch.setattr(by_name, "_known", {})
    assert not by_name.is_lost("functools")


@pytest.mark.parametrize(
    "name", ["collections.abc", "os.path", "os", "math", "sys", "tests", "nil"]
)
def test_what_is_no_file_of_its_own_is_not_lost(name: str) -> None:
    """
    Other names of a module, frozen and built-in ones, packages, and what is not there.
    """
    assert not by_name.is_lost(name)


def test_a_module_that_cloudpickle_was_told_of_goes_by_value(module: types.ModuleType) -> None:
    """
    `cloudpickle.register_pickle_by_value` is obeyed, for submodules too.
    """
    cloudpickle.register_pickle_by_value(sys.modules["package"])
    try:
        assert by_name.must_not_import("package.part")
        assert not by_name.must_not_import("packages")
        assert not by_name.goes_by_name(module.f)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules["package"])


def test_odd_callables_are_no_trouble() -> None:
    """
    A callable whose attributes raise, or whose module is no string, is left to the pickler.
    """

    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError(name)

    assert not by_name.must_go_by_value(Odd())
    assert not by_name.is_being_imported(None)
    assert not by_name.is_being_imported(5)  # type: ignore[arg-type]  # a user may set any __module__


def test_kinds_that_may_pickle_as_a_name() -> None:
    """
    A type that reduces itself may reduce to a name; most do not.
    """

    class Marker:
        def __reduce__(self) -> str:
            return "MARKER"

    assert all(map(by_name.is_named, [Marker, NewType, ParamSpec]))
    assert not any(map(by_name.is_named, [Class, int, types.FunctionType]))
