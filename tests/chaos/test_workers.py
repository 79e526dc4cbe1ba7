"""
Workers that die, stop, or attack their own links: one task pays, nobody else notices.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos import faults
from tests.dropin.gate import pass_gate
from tests.patience import wait_until
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.conformance import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from tests.dropin.gate import Gate
    from webworker_executor.web.launchers import LauncherName

pytestmark = pytest.mark.slow


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize(("how", "count"), [("fork", 50), ("spawn", 10), ("zygote", 10)])
def test_nobody_notices_an_idle_worker_that_dies(how: LauncherName, count: int) -> None:
    """
    A submit at that very moment works, each time.
    """
    with WebWorkerExecutor(2, launcher=how) as pool:
        for number in range(count):
            kill(pool.submit(os.getpid).result(10.0))
            assert -number == pool.submit(int, -number).result(10.0)


@pytest.mark.parametrize(
    "fault",
    [
        faults.kill_me,
        tasks.close_everything,
        tasks.cover_channels,
        faults.write_garbage,
    ],
)
def test_a_worker_that_is_lost_costs_one_task(
    pool: WebWorkerExecutor, fault: Callable[[], None]
) -> None:
    """
    The tasks before and behind it are done, and the pool is whole.
    """
    before = [pool.submit(faults.same, number) for number in range(10)]
    lost = pool.submit(fault)
    behind = [pool.submit(faults.same, number) for number in range(10)]
    for futures in (before, behind):
        assert list(range(10)) == [future.result(10.0) for future in futures]
    assert isinstance(lost.exception(10.0), WorkerCrashedError)
    assert list(range(20)) == list(pool.map(faults.same, range(20)))


def test_programs_that_a_task_starts_get_no_link(pool: WebWorkerExecutor) -> None:
    """
    Though the task lets them have whatever is inheritable.
    """
    assert 400_000 == len(pool.submit(bytes, 400_000).result(10.0))
    assert [] == pool.submit(faults.sockets_of_a_child).result(10.0)


def test_a_header_without_a_frame_costs_one_task(pool: WebWorkerExecutor) -> None:
    """
    What follows it is not taken for the rest of what it claims.
    """
    assert 3 == pool.submit(abs, -3).result(10.0)
    future = pool.submit(faults.write_header)
    assert isinstance(future.exception(10.0), WorkerCrashedError)
    assert list(range(20)) == list(pool.map(faults.same, range(20)))


def test_a_worker_outlives_what_a_program_may_change(pool: WebWorkerExecutor) -> None:
    """
    Non-blocking sockets, signals, the folder and the path are mended or borne.
    """
    for fault in (faults.unblock_sockets, faults.change_the_process):
        assert pool.submit(fault).result(10.0) is None
    assert list(range(50)) == list(pool.map(faults.same, range(50)))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_copy_never_answers(pool: WebWorkerExecutor) -> None:
    """
    Of a worker that forked, only the worker itself answers.
    """
    results = [pool.submit(tasks.fork_and_return, number) for number in range(5)]
    assert list(range(5)) == [future.result(10.0) for future in results]


def test_a_copy_that_keeps_the_sockets_hides_no_death(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Death is seen though a descendant holds every descriptor.
    """
    future = pool.submit(faults.fork_and_die, gate.path)
    gate.wait_for_begun(1)
    assert isinstance(future.exception(10.0), WorkerCrashedError)
    assert 1 == pool.submit(faults.same, 1).result(10.0)


def test_all_workers_at_once(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    As many tasks as workers fail.
    """
    running = [pool.submit(pass_gate, gate.path, number) for number in range(2)]
    pids = gate.wait_for_begun(2)
    waiting = [pool.submit(faults.same, number) for number in range(20)]
    for pid in pids:
        kill(pid)
    assert all(isinstance(future.exception(10.0), WorkerCrashedError) for future in running)
    assert list(range(20)) == [future.result(10.0) for future in waiting]


def test_a_storm_of_kills(launcher: LauncherName) -> None:
    """
    At most as many tasks as kills fail, and the others are right.
    """
    n_kills = 0
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        futures = [pool.submit(faults.same, number) for number in range(400)]
        for number in range(0, 400, 40):
            # Only with progress in between is it a storm, and not a siege.
            wait([futures[number]], 20.0)
            # There may be none at this moment: one was killed, and the other's place is not filled.
            for pid in list(pool._processes or {})[:1]:
                kill(pid)
                n_kills += 1
        failures = [future for future in futures if future.exception(20.0) is not None]
        right = [
            number == future.result()
            for number, future in enumerate(futures)
            if future not in failures
        ]
        assert 7 == pool.submit(faults.same, 7).result(10.0)
    assert len(failures) <= n_kills
    assert all(isinstance(future.exception(), WorkerCrashedError) for future in failures)
    assert all(right)


@pytest.mark.parametrize("direction", ["argument", "result"])
def test_death_in_the_middle_of_a_large_value(pool: WebWorkerExecutor, direction: str) -> None:
    """
    At any byte, one task at most is lost.
    """
    large = bytes(50_000_000)
    pid = pool.submit(os.getpid).result(10.0)
    task: Future[Any]
    task = pool.submit(len, large) if direction == "argument" else pool.submit(bytes, len(large))
    timer = threading.Timer(0.005, kill, [pid])
    timer.start()
    error = task.exception(30.0)
    timer.join()
    assert isinstance(error, WorkerCrashedError | None)
    assert 1 == pool.submit(faults.same, 1).result(10.0)


def test_large_values_both_ways_at_once(pool: WebWorkerExecutor) -> None:
    """
    Neither side waits for the other to read.
    """
    large = os.urandom(1 << 20) * 30
    futures = [pool.submit(faults.same, large) for _ in range(3)]
    assert all(large == future.result(50.0) for future in futures)


def test_a_stopped_worker_delays_its_own_task_only(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Others go on, and so does the worker when it may.
    """
    held = pool.submit(pass_gate, gate.path, "held")
    (pid,) = gate.wait_for_begun(1)
    os.kill(pid, signal.SIGSTOP)
    gate.open()
    others = [pool.submit(faults.same, number) for number in range(20)]
    assert list(range(20)) == [future.result(10.0) for future in others]
    assert not held.done()
    os.kill(pid, signal.SIGCONT)
    assert "held" == held.result(10.0)


@pytest.mark.parametrize("fault", [faults.stop_me, faults.hold_the_interpreter])
def test_nobody_waits_behind_a_worker_that_hears_nothing(
    launcher: LauncherName, fault: Callable[[], None]
) -> None:
    """
    Though its tasks used to be short: it is stopped, or its task keeps the interpreter in C.
    """
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        pool.run_on_all(os.getpid)
        assert list(range(200)) == list(pool.map(faults.same, range(200), chunksize=1))
        held = pool.submit(fault)
        try:
            # Afterwards it is late, by what its worker's tasks took before.
            pool.submit(time.sleep, 0.1).result(10.0)
            for _ in range(10):
                others = [pool.submit(faults.same, number) for number in range(20)]
                assert list(range(20)) == [future.result(10.0) for future in others]
            assert not held.done()
        finally:
            held.abort(grace=0.0)


@pytest.mark.parametrize("fault", [faults.stop_me, faults.hold_the_interpreter])
def test_what_was_sent_ahead_to_a_worker_that_hears_nothing_runs_elsewhere(
    launcher: LauncherName, fault: Callable[[], None]
) -> None:
    """
    Each task once, though it lies in the worker; and nobody has to wait for that.
    """
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        pool.run_on_all(os.getpid)
        assert list(range(3000)) == list(pool.map(faults.same, range(3000), chunksize=1))
        before = [pool.submit(faults.same, number) for number in range(200)]
        held = pool.submit(fault)
        behind = [pool.submit(faults.same, number) for number in range(2000)]
        try:
            assert list(range(200)) == [future.result(10.0) for future in before]
            assert list(range(2000)) == [future.result(10.0) for future in behind]
            assert not held.done()
        finally:
            held.abort(grace=0.0)


def test_a_task_that_ends_just_as_others_are_taken_back_runs_once(tmp_path: Path) -> None:
    """
    Its answer is on the way, and not read: the host looks at what its worker began last.
    """
    numbers = list(range(60))
    is_over = threading.Event()

    def keep_busy() -> None:
        # So that the reactor is late to read.
        while not is_over.is_set():
            sum(range(1000))

    busy = threading.Thread(target=keep_busy)
    with WebWorkerExecutor(2, launcher="fork") as pool:
        pids = set(pool.run_on_all(os.getpid))
        busy.start()
        try:
            for step in range(60):
                path = str(tmp_path / str(step))
                assert list(range(200)) == list(pool.map(faults.same, range(200), chunksize=1))
                held = pool.submit(faults.keep_the_interpreter, 0.018 + 0.0002 * step)
                futures = [pool.submit(faults.write_down, path, number) for number in numbers]
                assert numbers == [future.result(10.0) for future in futures]
                assert held.result(10.0) is None
                with open(path) as written:
                    assert numbers == sorted(map(int, written))
        finally:
            is_over.set()
            busy.join()
        assert pids == set(pool.run_on_all(os.getpid))


def at_most_one_waits(futures: Sequence[Future[Any]]) -> bool:
    """Tell whether all are done but one, or all."""
    return sum(not future.done() for future in futures) <= 1


def test_an_idle_worker_that_is_stopped_costs_what_it_was_about_to_begin(
    launcher: LauncherName, tmp_path: Path
) -> None:
    """
    One task at most waits for it; it hears of all that, is of use again, and runs nothing twice.
    """
    numbers = list(range(1000))
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        pids = set(pool.run_on_all(os.getpid))
        for pid in pids:
            assert list(range(3000)) == list(pool.map(faults.same, range(3000), chunksize=1))
            os.kill(pid, signal.SIGSTOP)
            path = tmp_path / str(pid)
            futures = [pool.submit(faults.write_down, str(path), number) for number in numbers]
            wait_until(partial(at_most_one_waits, futures))
            os.kill(pid, signal.SIGCONT)
            assert numbers == [future.result(10.0) for future in futures]
            assert numbers == sorted(map(int, path.read_text().split()))
            # It takes tasks again.
            assert pids == set(pool.run_on_all(os.getpid))


def test_what_was_said_to_a_task_that_is_taken_back_goes_with_it(launcher: LauncherName) -> None:
    """
    Each message once, whichever worker the task comes to, and also if that is the first again.
    """
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        pids = pool.run_on_all(os.getpid)
        for pid in pids:
            assert list(range(3000)) == list(pool.map(faults.same, range(3000), chunksize=1))
            os.kill(pid, signal.SIGSTOP)
            talks = [pool.submit(faults.listen) for _ in range(20)]
            for number, future in enumerate(talks):
                future.post_message(number)
                future.post_message("last")
            behind = [pool.submit(faults.same, number) for number in range(500)]
            wait_until(partial(at_most_one_waits, behind))
            os.kill(pid, signal.SIGCONT)
            heard = [future.result(10.0) for future in talks]
            assert [[number, "last"] for number in range(20)] == heard
            assert list(range(500)) == [future.result(10.0) for future in behind]
            assert set(pids) == set(pool.run_on_all(os.getpid))


def test_a_deaf_worker_is_told_of(launcher: LauncherName) -> None:
    """
    In the statistics, from when its tasks were taken back until it answers.
    """
    with WebWorkerExecutor(2, launcher=launcher) as pool:

        def states() -> set[str]:
            return {worker.state for worker in pool.statistics().workers}

        pids = pool.run_on_all(os.getpid)
        futures = []
        while "deaf" not in states():
            os.kill(pids[0], signal.SIGCONT)
            assert list(range(3000)) == list(pool.map(faults.same, range(3000), chunksize=1))
            os.kill(pids[0], signal.SIGSTOP)
            futures = [pool.submit(faults.same, number) for number in range(1000)]
            wait_until(partial(at_most_one_waits, futures))
        os.kill(pids[0], signal.SIGCONT)
        assert list(range(1000)) == [future.result(10.0) for future in futures]
        wait_until(lambda: states() == {"idle"})


@pytest.mark.parametrize("fault", [faults.stop_me, faults.hold_the_interpreter])
def test_a_worker_that_hears_nothing_keeps_no_tasks_behind_another(
    launcher: LauncherName, gate: Gate, fault: Callable[[], None]
) -> None:
    """
    It never gives back what it is asked for; another is asked instead, for whoever idles.
    """

    def hold_nothing() -> int:
        return [worker.n_held for worker in pool.statistics().workers].count(0)

    with WebWorkerExecutor(3, launcher=launcher) as pool:
        pool.run_on_all(os.getpid)
        assert list(range(300)) == list(pool.map(faults.same, range(300), chunksize=1))
        before = [pool.submit(faults.same, number) for number in range(300)]
        held = pool.submit(fault)
        lost = [pool.submit(faults.same, number) for number in range(100)]
        try:
            wait_until(lambda: hold_nothing() == 2)
            # Afterwards it is late, by what its worker's tasks took before.
            pool.submit(time.sleep, 0.1).result(10.0)
            others = [pool.submit(faults.same, number) for number in range(300)]
            pool.submit(pass_gate, gate.path, 0)
            behind = [pool.submit(faults.same, number) for number in range(100)]
            assert list(range(300)) == [future.result(10.0) for future in others]
            gate.wait_for_begun(1)
            assert list(range(100)) == [future.result(10.0) for future in behind]
            assert not held.done()
        finally:
            gate.open()
            held.abort(grace=0.0)
        assert list(range(300)) == [future.result(10.0) for future in before]
        assert list(range(100)) == [future.result(10.0) for future in lost]
