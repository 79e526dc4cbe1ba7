"""
Finds CPython's own tests of process pools and turns them to our executor.

Nothing of CPython is copied: its test classes are imported and subclassed. Not every Python brings
its tests along; `find_modules` then finds none.

Whoever changes it must know that workers import the adopted classes by name, through
`tests.conformance.test_cpython`, since some tests send a method of theirs.
"""

from __future__ import annotations

import importlib
import sys
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.conformance.executor import BreakingExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[2]

_PACKAGE = "test.test_concurrent_futures"
_PARTS = (
    "test_as_completed",
    "test_deadlock",
    "test_init",
    "test_process_pool",
    "test_shutdown",
    "test_wait",
)

# Debian keeps the tests in a package of their own, such as libpython3.11-testsuite. They serve any
# interpreter of that version which lacks them.
_DEBIAN = Path(f"/usr/lib/python{sys.version_info.major}.{sys.version_info.minor}/test")


class Exclusion(NamedTuple):
    """Why a test of CPython does not apply to us, and the first Python that has it."""

    since: tuple[int, int]
    reason: str


EXCLUSIONS = {
    "test_python_finalization_error": Exclusion(
        (3, 13),
        "replaces threading._start_joinable_thread so that the stdlib's second thread, the feeder "
        "of its call queue, cannot start; we have no such thread, so nothing breaks",
    ),
}


def find_modules() -> list[ModuleType]:
    """Return the modules of CPython's tests, none if this Python has none."""
    try:
        package = importlib.import_module(_PACKAGE)
    except ModuleNotFoundError:
        return _find_debian_module()
    except unittest.SkipTest:
        return []
    if not hasattr(package, "__path__"):
        return [package]
    return [importlib.import_module(f"{_PACKAGE}.{part}") for part in _PARTS]


def _find_debian_module() -> list[ModuleType]:
    if not (_DEBIAN / "test_concurrent_futures.py").exists():
        return []
    # At the end of the path, where workers find it too and where it can hide nothing.
    sys.path.append(str(_DEBIAN))
    module = importlib.import_module("test_concurrent_futures")
    sys.modules[_PACKAGE] = module
    return [module]


def adopt(module: ModuleType, into: str) -> Iterator[type[unittest.TestCase]]:
    """
    Yield a subclass for each test class of process pools in a module, with our executor in it.

    Args:
        module: One of CPython's test modules.
        into: Name of the module that the subclasses will be found in.
    """
    for name, case in sorted(vars(module).items()):
        if not (isinstance(case, type) and issubclass(case, unittest.TestCase)):
            continue
        if hasattr(case, "ctx") or "Resources" in name:
            members = {"executor_type": BreakingExecutor, "origin": module, "__module__": into}
            yield type(name, (case,), members)


def turn_scripts_to_ours(assert_python_ok: Callable[..., Any]) -> Callable[..., Any]:
    """
    Wrap the function by which CPython's tests run a program, so that the program uses our executor.

    The programs run with `-I`, so the way to this checkout is part of the text. One of them uses
    `multiprocessing` without importing it: the stdlib's own pool skips that test.
    """
    path = [
        str(ROOT),
        *(entry for entry in sys.path if "site-packages" in entry or entry == str(_DEBIAN)),
    ]
    prologue = f"import multiprocessing, sys; sys.path[:0] = {path!r}\n"
    if "test_concurrent_futures" in sys.modules:
        prologue += (
            f"import test_concurrent_futures; sys.modules[{_PACKAGE!r}] = test_concurrent_futures\n"
        )

    def run(flag: str, program: str, **kwargs: Any) -> Any:
        stdlib, ours = (f"from {place} import {BreakingExecutor.__name__}" for place in _PLACES)
        if stdlib not in program:
            raise AssertionError(
                f"a program of CPython's tests no longer says {stdlib!r}:\n{program}"
            )
        return assert_python_ok(flag, prologue + program.replace(stdlib, ours), **kwargs)

    return run


_PLACES = ("concurrent.futures", BreakingExecutor.__module__)
