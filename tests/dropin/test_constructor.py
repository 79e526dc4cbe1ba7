"""The constructor takes, checks and refuses what `ProcessPoolExecutor` does, in its words."""

from __future__ import annotations

import concurrent.futures
import inspect
import multiprocessing
import multiprocessing.connection
import os
import pickle
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

import webworker_executor
from tests.dropin.tasks import STATE, double, recall
from webworker_executor import WebWorkerExecutor


def _count_processors() -> int:
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def test_signature_begins_as_the_stdlibs() -> None:
    """Positional arguments mean the same."""
    stdlib = list(inspect.signature(concurrent.futures.ProcessPoolExecutor).parameters)
    ours = inspect.signature(WebWorkerExecutor).parameters
    assert stdlib[:4] == list(ours)[:4]
    assert inspect.Parameter.KEYWORD_ONLY == ours["max_tasks_per_child"].kind


def test_is_an_executor() -> None:
    """`isinstance` holds where packages ask for an executor."""
    with WebWorkerExecutor(1) as executor:
        assert isinstance(executor, concurrent.futures.Executor)


@pytest.mark.parametrize(("given", "expected"), [(None, _count_processors()), (3, 3), (True, 1)])
def test_max_workers(given: int | None, expected: int) -> None:
    """The number of workers is the stdlib's."""
    with WebWorkerExecutor(given) as executor:
        assert expected == executor._max_workers


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"max_workers": 0}, ValueError, "max_workers must be greater than 0"),
        ({"max_workers": -1}, ValueError, "max_workers must be greater than 0"),
        ({"max_workers": "2"}, TypeError, "'<=' not supported"),
        ({"max_workers": 1.5}, TypeError, ""),
        ({"initializer": 3}, TypeError, "initializer must be a callable"),
        ({"max_tasks_per_child": 1.5}, TypeError, "max_tasks_per_child must be an integer"),
        ({"max_tasks_per_child": 0}, ValueError, "max_tasks_per_child must be >= 1"),
        (
            {"max_tasks_per_child": 1, "mp_context": multiprocessing.get_context("fork")},
            ValueError,
            "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; "
            "supply a different mp_context.",
        ),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """A wrong argument is refused at once, in the stdlib's words."""
    with pytest.raises(error) as caught:
        WebWorkerExecutor(**arguments)
    assert text in str(caught.value)


def test_max_tasks_per_child_is_keyword_only() -> None:
    """A fifth positional argument is refused, as by the stdlib."""
    make: Any = WebWorkerExecutor
    with pytest.raises(TypeError):
        make(1, None, None, (), 5)


def test_nothing_starts_before_the_first_call() -> None:
    """An executor that is not used costs no process."""
    with WebWorkerExecutor(2) as executor:
        assert {} == dict(executor._processes or {})


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_mp_context_chooses_how_workers_start(method: str) -> None:
    """Only workers of a fork context inherit the program's state."""
    STATE.append("inherited")
    try:
        with WebWorkerExecutor(1, multiprocessing.get_context(method)) as executor:
            inherited = executor.submit(recall).result()
    finally:
        STATE.clear()
    assert (["inherited"] if method == "fork" else []) == inherited


def test_cannot_be_pickled() -> None:
    """An executor does not travel."""
    with WebWorkerExecutor(1) as executor, pytest.raises(TypeError):
        pickle.dumps(executor)


@pytest.mark.parametrize("name", ["WorkerCrashedError", "BrokenWorkerPool"])
def test_errors_are_the_stdlibs(name: str) -> None:
    """Whoever catches the stdlib's error catches ours."""
    assert issubclass(getattr(webworker_executor, name), BrokenProcessPool)
    assert issubclass(BrokenProcessPool, concurrent.futures.BrokenExecutor)


def test_attributes_that_others_touch() -> None:
    """The private attributes that packages read are there and mean the same."""
    context = multiprocessing.get_context("spawn")
    with WebWorkerExecutor(2, context, double, (1,)) as executor:
        executor.submit(double, 1).result()
        processes: Any = executor._processes
        ((pid, process),) = processes.items()
        assert (pid, None, True) == (process.pid, process.exitcode, process.is_alive())
        assert ("WebWorker-0", False) == (process.name, process.daemon)
        assert process in multiprocessing.active_children()
        assert (2, False, False) == (
            executor._max_workers,
            executor._broken,
            executor._shutdown_thread,
        )
        assert context is executor._mp_context
        assert double is executor._initializer
        assert 0 == len(executor._pending_work_items)


def test_killing_the_processes_breaks_what_runs() -> None:
    """The recipe of everybody, to kill through `_processes`, ends the workers."""
    with WebWorkerExecutor(1) as executor:
        executor.submit(double, 1).result()
        processes: Any = executor._processes
        (process,) = processes.values()
        sentinel = process.sentinel
        process.kill()
        assert [sentinel] == multiprocessing.connection.wait([sentinel], 10.0)
        process.join()
        assert sentinel == process.sentinel
        assert (False, -9) == (process.is_alive(), process.exitcode)
        assert 4 == executor.submit(double, 2).result()
