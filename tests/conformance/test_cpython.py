"""
CPython's own tests of `ProcessPoolExecutor`, over our executor with `on_crash="break"`.

This is the acceptance test of being a drop-in. Every exclusion is listed with its reason in
`cpython.py`.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import multiprocessing.util
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.cpython import EXCLUSIONS, adopt, find_modules, turn_scripts_to_ours
from tests.conformance.executor import ProcessPoolExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    # Whoever asks for fork forks a process that may have threads, here as in the stdlib.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

MODULES = find_modules()
CASES = [case for module in MODULES for case in adopt(module, __name__)]
globals().update({case.__name__: case for case in CASES})


@pytest.fixture(scope="module", autouse=True)
def _stop_multiprocessing() -> Iterator[None]:
    """CPython's own `setUpModule`: the fork server and the resource tracker end with the tests."""
    yield
    multiprocessing.util._cleanup_tests()  # type: ignore[attr-defined]  # as CPython's tests do


@pytest.fixture(autouse=True)
def _turn_to_ours(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    origin: ModuleType | None = getattr(request.cls, "origin", None)
    if origin is None:
        yield
        return
    if request.node.name in EXCLUSIONS:
        pytest.skip(EXCLUSIONS[request.node.name].reason)
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", ProcessPoolExecutor)
    if hasattr(origin, "assert_python_ok"):
        monkeypatch.setattr(
            origin, "assert_python_ok", turn_scripts_to_ours(origin.assert_python_ok)
        )
    for case in CASES:
        if hasattr(origin, case.__name__):
            monkeypatch.setattr(origin, case.__name__, case)
    support: Any = importlib.import_module("test.support")
    monkeypatch.setattr(support, "environment_altered", False)
    yield
    # The test case lives longer than the look for leaks, and with it a queue and its descriptors.
    for name in ("log_queue", "executor_kwargs"):
        vars(request.instance).pop(name, None)
    assert not support.environment_altered, (
        "threads or children were left; CPython's support printed which"
    )


@pytest.mark.skipif(bool(MODULES), reason="this Python brings CPython's tests along")
def test_cpythons_tests_are_here() -> None:
    """Says so where the acceptance test cannot run."""
    pytest.skip(
        "this Python was installed without test.test_concurrent_futures; another one must run it"
    )


@pytest.mark.skipif(not MODULES, reason="CPython's tests are not here")
def test_every_exclusion_exists() -> None:
    """An exclusion whose test is gone is removed from the table."""
    expected = {
        name for name, exclusion in EXCLUSIONS.items() if sys.version_info >= exclusion.since
    }
    actual = {name for name in EXCLUSIONS if any(hasattr(case, name) for case in CASES)}
    assert expected == actual


@pytest.mark.skipif(not MODULES, reason="CPython's tests are not here")
@pytest.mark.parametrize(
    "suite",
    [
        "ExecutorTest",
        "ProcessPoolExecutorTest",
        "ExecutorShutdownTest",
        "ProcessPoolShutdownTest",
        "InitializerMixin",
        "FailingInitializerMixin",
        "AsCompletedTests",
        "WaitTests",
        "ExecutorDeadlockTest",
    ],
)
def test_every_suite_runs_for_every_start_method(suite: str) -> None:
    """No suite of CPython's is lost by a change of its names."""
    actual = {
        getattr(case, "ctx", None)
        for case in CASES
        if suite in {base.__name__ for base in case.__mro__}
    }
    assert {"fork", "forkserver", "spawn"} == actual
