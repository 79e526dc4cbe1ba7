"""`submit` and the future it returns keep the stdlib's contract."""

from __future__ import annotations

import concurrent.futures
import logging
import multiprocessing
import os
import threading
from concurrent.futures.process import BrokenProcessPool, _RemoteTraceback
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.dropin.tasks import (
    Doubler,
    describe_process,
    describe_thread,
    die,
    double,
    echo,
    put,
    throw,
    throw_class,
)
from webworker_executor import WebWorkerExecutor

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor import WebWorkerExecutor as Pool
    from webworker_executor.web.launchers import LauncherName


def test_every_keyword_reaches_the_function(pool: Pool) -> None:
    """`submit` steals no keyword."""
    keywords = {"fn": 1, "self": 2, "timeout": 3, "args": 4, "kwargs": 5, "priority": 6}
    assert ((0,), keywords) == pool.submit(echo, 0, **keywords).result()


@pytest.mark.parametrize("keywords", [{}, {"fn": double}, {"arg": 1}])
def test_the_function_is_positional(keywords: dict[str, Any]) -> None:
    """Without a function there is a TypeError at once."""
    with WebWorkerExecutor(1) as executor:
        submit: Any = executor.submit
        with pytest.raises(TypeError):
            submit(**keywords)


def test_returns_a_future_of_the_stdlib(pool: Pool, gate: Gate) -> None:
    """The future is `concurrent.futures.Future`, and tells its state."""
    future = pool.submit(pass_gate, gate.path, "value")
    gate.wait_for_begun(1)
    assert isinstance(future, concurrent.futures.Future)
    assert (True, False, False) == (future.running(), future.done(), future.cancel())
    gate.open()
    assert "value" == future.result()
    assert (False, True, False) == (future.running(), future.done(), future.cancelled())


def test_result_times_out(pool: Pool, gate: Gate) -> None:
    """`result(timeout)` stops the waiting, not the task."""
    future = pool.submit(pass_gate, gate.path, 1)
    with pytest.raises(TimeoutError):
        future.result(timeout=0.01)
    gate.open()
    assert 1 == future.result()


def test_what_is_queued_can_be_cancelled(pool: Pool, gate: Gate) -> None:
    """A cancelled task never begins, and its waiters wake."""
    running = [pool.submit(pass_gate, gate.path, None) for _ in range(2)]
    gate.wait_for_begun(2)
    queued = [pool.submit(pass_gate, gate.path, None) for _ in range(20)]
    assert queued[-1].cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        queued[-1].result()
    gate.open()
    concurrent.futures.wait([*running, *queued])
    assert 21 == len(gate.wait_for_begun(21))


@pytest.mark.parametrize(
    "unpicklable", [threading.Lock(), (n for n in range(3))], ids=["lock", "generator"]
)
def test_packing_errors_land_on_the_future(pool: Pool, unpicklable: object) -> None:
    """An argument that cannot be packed fails its own future, and nothing else."""
    future = pool.submit(echo, unpicklable)
    assert isinstance(future.exception(), TypeError)
    assert isinstance(_end_of_chain(future.exception()), _RemoteTraceback)
    assert 4 == pool.submit(double, 2).result()


def test_not_callable(pool: Pool) -> None:
    """Calling what cannot be called fails in the worker."""
    bad: Any = None
    assert isinstance(pool.submit(bad).exception(), TypeError)


@pytest.mark.parametrize(
    "cls", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, OSError]
)
def test_whatever_is_raised_comes_back(pool: Pool, cls: type[BaseException]) -> None:
    """Every class of exception reaches the caller, and the worker lives on."""
    exception = pool.submit(throw_class, cls).exception()
    assert (cls, ("one", 2)) == (type(exception), exception.args if exception else ())
    assert 4 == pool.submit(double, 2).result()


def test_the_remote_traceback_is_told(pool: Pool) -> None:
    """At the end of the chain of causes stands the text of the worker's traceback."""
    exception = pool.submit(throw, ValueError("told")).exception()
    remote = _end_of_chain(exception)
    assert _RemoteTraceback is type(remote)
    assert str(remote).startswith('\n"""\nTraceback (most recent call last):\n')
    assert "in throw" in str(remote)


def test_notes_and_groups_survive(pool: Pool) -> None:
    """Notes and the members of a group come along."""
    group = ExceptionGroup("both", [ValueError(1), TypeError(2)])
    group.add_note("noted")
    exception = pool.submit(throw, group).exception()
    assert isinstance(exception, ExceptionGroup)
    assert ["noted"] == exception.__notes__
    assert [(ValueError, (1,)), (TypeError, (2,))] == [
        (type(member), member.args) for member in exception.exceptions
    ]


def test_arguments_are_snapshots(pool: Pool, gate: Gate) -> None:
    """What is changed after `submit` arrives unchanged."""
    for _ in range(8):
        pool.submit(pass_gate, gate.path, None)
    argument = [1]
    future = pool.submit(list, argument)
    argument.append(2)
    gate.open()
    assert [1] == future.result()


def test_tasks_run_on_the_main_thread(pool: Pool) -> None:
    """Signal handling and asyncio work in tasks: main thread, usual handlers."""
    assert (True, True, True) == pool.submit(describe_thread).result()


def test_callbacks_may_submit(pool: Pool) -> None:
    """A done-callback may use the executor without deadlock."""
    answers: list[int] = []
    done = threading.Event()

    def finish(future: concurrent.futures.Future[int]) -> None:
        answers.append(future.result())
        done.set()

    def go_on(future: concurrent.futures.Future[int]) -> None:
        pool.submit(double, future.result()).add_done_callback(finish)

    pool.submit(double, 2).add_done_callback(go_on)
    assert done.wait(10.0)
    assert [8] == answers


def test_errors_in_callbacks_are_logged(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is logged by `concurrent.futures`, and the next is called."""
    done = threading.Event()

    def fail(_: object) -> None:
        raise ValueError("in the callback")

    future = pool.submit(double, 2)
    with caplog.at_level(logging.ERROR, logger="concurrent.futures"):
        future.add_done_callback(fail)
        future.add_done_callback(lambda _: done.set())
        assert done.wait(10.0)
    assert "exception calling callback" in caplog.text


def test_a_crash_fails_its_own_task(pool: Pool) -> None:
    """Others finish as if nothing had happened."""
    futures = [pool.submit(double, n) for n in range(4)]
    crashed = pool.submit(die)
    futures += [pool.submit(double, n) for n in range(4, 8)]
    with pytest.raises(BrokenProcessPool):
        crashed.result()
    assert [0, 2, 4, 6, 8, 10, 12, 14] == [future.result() for future in futures]


def test_on_crash_break_is_the_stdlibs_rule(launcher: LauncherName, gate: Gate) -> None:
    """With `on_crash="break"` a crash breaks the pool, in the stdlib's words."""
    with WebWorkerExecutor(2, launcher=launcher, on_crash="break") as executor:
        waiting = executor.submit(pass_gate, gate.path, None)
        gate.wait_for_begun(1)
        crashed = executor.submit(die)
        for future in (crashed, waiting):
            assert (
                "A process in the process pool was terminated abruptly while the future was "
                "running or pending." in str(future.exception())
            )
            assert isinstance(future.exception(), BrokenProcessPool)
        with pytest.raises(
            BrokenProcessPool,
            match="A child process terminated abruptly, the process pool is not usable anymore",
        ):
            executor.submit(double, 1)
        assert executor._broken


@pytest.mark.slow
def test_proxies_of_a_manager_are_arguments(pool: Pool) -> None:
    """A manager's queue, the only kind that the stdlib takes as an argument, works here too."""
    with multiprocessing.get_context("spawn").Manager() as manager:
        queue = manager.Queue()
        pool.submit(put, queue, "told").result()
        assert "told" == queue.get(timeout=10.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: double,
        lambda: lambda number: number * 2,
        lambda: Doubler().double,
        lambda: Doubler(),
    ],
    ids=["function", "lambda", "method", "instance"],
)
def test_kinds_of_callables(pool: Pool, make: Callable[[], Callable[[int], int]]) -> None:
    """Whatever can be called can be submitted."""
    assert 42 == pool.submit(make(), 21).result()


def _end_of_chain(exception: BaseException | None) -> BaseException | None:
    while exception is not None and exception.__cause__ is not None:
        exception = exception.__cause__
    return exception


def test_a_worker_is_no_main_process(launcher: LauncherName) -> None:
    """To multiprocessing it is a child of the program, with a number; files are made as there."""
    for umask in (0o027, 0o077):
        before = os.umask(umask)
        try:
            with WebWorkerExecutor(1, launcher=launcher) as executor:
                described = executor.submit(describe_process).result()
        finally:
            os.umask(before)
        assert ((1,), os.getpid(), False, umask) == described
