"""
A pool with a bound takes so many tasks and no more.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from tests.pool.strike import Strike
from tests.pool.work import double
from tests.threads import struck
from webworker_executor import BrokenWorkerPool, PoolFullError, WebWorkerExecutor
from webworker_executor.pool.call import Call
from webworker_executor.pool.room import Bounded, Room

if TYPE_CHECKING:
    from types import FrameType

    from webworker_executor import WorkerFuture
    from webworker_executor.web.launchers import LauncherName


def work(ident: int) -> Call:
    """Make a call that nobody makes."""
    return Call(ident).pack(double, (1,), {})


def fill(pool: WebWorkerExecutor, gate: Gate, count: int) -> list[WorkerFuture[Any]]:
    """Submit tasks that wait at a gate."""
    futures = [pool.submit(pass_gate, gate.path, number) for number in range(count)]
    gate.wait_for_begun(1)
    return futures


def test_a_full_pool_raises(gate: Gate) -> None:
    """
    Nothing was submitted then, and there is room when a task is done.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=3, when_full="raise") as pool:
        futures = fill(pool, gate, 3)
        for submit in (pool.submit, pool.options(priority=1).submit):
            with pytest.raises(PoolFullError, match="3 tasks are not done yet, which is all"):
                submit(double, 1)
        assert 3 == len(pool._pool.promises.calls)
        gate.open()
        assert [0, 1, 2] == [future.result(10.0) for future in futures]
        assert 2 == pool.submit(double, 1).result(10.0)
    assert issubclass(PoolFullError, queue.Full)


def test_a_full_pool_lets_submit_wait(gate: Gate) -> None:
    """
    Until there is room.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=2) as pool:
        fill(pool, gate, 2)
        opened_at: list[float] = []

        def open_later() -> None:
            wait_until(lambda: calls.sleepers)
            opened_at.append(time.monotonic())
            gate.open()

        calls: Any = pool._pool.promises.calls
        thread = threading.Thread(target=open_later)
        thread.start()
        future = pool.submit(double, 1)
        submitted_at = time.monotonic()
        thread.join()
        assert 2 == future.result(10.0)
        assert submitted_at > opened_at[0]


def test_a_cancel_makes_room(gate: Gate) -> None:
    """
    What was cancelled is not done, but does not count any more.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=2, when_full="raise") as pool:
        _, waiting = fill(pool, gate, 2)
        assert waiting.cancel()
        future = pool.submit(double, 1)
        gate.open()
        assert 2 == future.result(10.0)


def stay(path: str) -> None:
    """Heed no SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pass_gate(path, 0)


@pytest.mark.parametrize("when_full", ["raise", "block"])
@pytest.mark.parametrize(
    "stop", ["abort", "cancel", pytest.param("timeout", marks=pytest.mark.slow)]
)
def test_a_stopped_task_makes_room_before_its_worker_is_rid_of_it(
    gate: Gate, stop: str, when_full: Any
) -> None:
    """
    It is done, however long its worker takes to end.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=1, when_full=when_full) as pool:
        options = pool.options(timeout=0.05 if stop == "timeout" else None, cancel_running=True)
        running = options.submit(stay, gate.path)
        (pid,) = gate.wait_for_begun(1)
        calls: Any = pool._pool.promises.calls
        admitted: deque[WorkerFuture[int]] = deque()
        submit = partial(lambda to: to.append(pool.submit(double, 1)), admitted)
        thread = threading.Thread(target=submit)
        if when_full == "block":
            thread.start()
            wait_until(lambda: calls.sleepers or running.done())
        if stop == "abort":
            assert running.abort(grace=3600.0)
        elif stop == "cancel":
            assert running.cancel()
        wait([running], 20.0)
        assert running.done()
        if when_full == "raise":
            thread.start()
        thread.join(20.0)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        assert 1 == len(admitted)
        assert 2 == admitted[0].result(20.0)
        wait_until(lambda: not calls)


def test_a_stopped_task_makes_room_once() -> None:
    """
    It does not make room again as it leaves, or when it is stopped thereafter.
    """
    calls = Bounded()
    calls[1], calls[2] = work(1), work(2)
    calls.stop(1)
    assert 1 == calls.n_counted()
    calls.pop(1)
    calls.stop(1)
    assert 1 == calls.n_counted()


@pytest.mark.parametrize("when_full", ["raise", 0.01])
def test_a_task_that_is_done_refuses_nobody(when_full: Any) -> None:
    """
    Its future tells so a moment before it leaves the table.
    """
    calls = Bounded()
    calls[1], calls[2] = done, undone = work(1), work(2)
    taken: list[Call] = []
    room = Room(calls, 2, when_full, taken.append, lambda: True)
    with pytest.raises(PoolFullError):
        room.submit(work(3))
    done.future._finish(None)
    room.submit(work(4))
    undone.future._finish(None)
    room.submit(work(5))
    assert [4, 5] == [call.ident for call in taken]


def test_a_task_on_its_way_in_counts_once() -> None:
    """
    Though it is in the table already.
    """
    calls = Bounded()
    refused: list[int] = []

    def submit(ident: int) -> None:
        try:
            room.submit(work(ident))
        except PoolFullError:
            refused.append(ident)

    def take(call: Call) -> None:
        calls[call.ident] = call
        # In another thread: this one is not to wait for itself.
        thread = threading.Thread(target=submit, args=(call.ident + 1,))
        thread.start()
        thread.join(20.0)

    room = Room(calls, 3, "raise", take, lambda: True)
    submit(1)
    assert ([1, 2, 3], [4]) == (sorted(calls), refused)


def test_patience_has_an_end(gate: Gate) -> None:
    """
    A number is how many seconds a submit waits.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=1, when_full=0.05) as pool:
        fill(pool, gate, 1)
        with pytest.raises(PoolFullError, match=r"after 0\.05 s"):
            pool.submit(double, 1)
        gate.open()
        assert 2 == pool.submit(double, 1).result(10.0)


def test_many_threads_keep_to_the_bound() -> None:
    """
    However many submit at once, every task runs and never are there more.
    """
    with WebWorkerExecutor(2, launcher="fork", max_pending=4) as pool:
        most, results = 0, []

        def work(number: int) -> None:
            nonlocal most
            for each in range(50):
                future = pool.submit(double, number * 50 + each)
                most = max(most, len(pool._pool.promises.calls))
                results.append(future)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60.0)
        assert [2 * n for n in range(400)] == sorted(future.result(10.0) for future in results)
        assert 4 >= most


def test_a_map_waits_for_room(launcher: LauncherName) -> None:
    """
    Its results come as ever.
    """
    with WebWorkerExecutor(2, launcher=launcher, max_pending=3) as pool:
        assert [2 * n for n in range(200)] == list(pool.map(double, range(200)))
        assert [2 * n for n in range(50)] == list(pool.map(double, range(50), chunksize=1))


def test_the_end_lets_nobody_wait(gate: Gate) -> None:
    """
    Whoever waits for room in a pool that breaks, or was shut down, is told.
    """
    pool = WebWorkerExecutor(1, launcher="fork", max_pending=1)
    fill(pool, gate, 1)
    errors: list[BaseException] = []

    def wait_in_vain() -> None:
        try:
            pool.submit(double, 1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=wait_in_vain) for _ in range(3)]
    for thread in threads:
        thread.start()
    calls: Any = pool._pool.promises.calls
    wait_until(lambda: len(calls.sleepers) == 3)
    pool.kill_workers()
    for thread in threads:
        thread.join(10.0)
    assert [BrokenWorkerPool] * 3 == [type(error) for error in errors]
    pool.shutdown()


def test_a_handler_that_raises_ends_the_wait(gate: Gate) -> None:
    """
    Ctrl-C ends a submit that waits, and the next in line is not forgotten.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=1) as pool:
        fill(pool, gate, 1)
        calls: Any = pool._pool.promises.calls
        with (
            pytest.raises(KeyboardInterrupt),
            struck(KeyboardInterrupt, lambda _: calls.sleepers),
        ):
            pool.submit(double, 1)
        assert 0 == len(calls.sleepers)
        gate.open()
        assert 2 == pool.submit(double, 1).result(10.0)


class StruckLine(deque[Any]):
    """A line in which a signal handler strikes as soon as somebody stands in it."""

    def append(self, sleeper: object) -> None:
        super().append(sleeper)
        raise KeyboardInterrupt


def test_a_handler_that_raises_right_behind_the_last_in_line() -> None:
    """
    Nobody is left there who does not wait: who is woken in his place would sleep on.
    """
    calls = Bounded()
    calls[1] = Call(1).pack(double, (1,), {})
    calls.sleepers = StruckLine()
    room = Room(calls, 1, "block", lambda call: None, lambda: True)
    with pytest.raises(KeyboardInterrupt):
        room.submit(Call(2).pack(double, (1,), {}))
    assert 0 == len(calls.sleepers)


class OpeningLine(deque[Any]):
    """A line before which room is made as soon as somebody stands in it."""

    calls: Bounded

    def append(self, sleeper: object) -> None:
        super().append(sleeper)
        self.calls.clear()


def test_a_handler_that_raises_where_a_wait_ends() -> None:
    """
    Nobody is left in line who has room, wherever it strikes.
    """
    for number in itertools.count(1):
        calls = Bounded()
        calls[1] = Call(1).pack(double, (1,), {})
        calls.sleepers = line = OpeningLine()
        line.calls = calls
        room = Room(calls, 1, "block", lambda call: None, lambda: True)
        strike = Strike("Room._wait", number)
        strike.during(partial(room.submit, Call(2).pack(double, (1,), {})))
        assert 0 == len(line), strike.where
        if not strike.where:
            break
    assert number > 3


class WatchedRoom(Room):
    """
    A room that another wants to enter while one is on the way in, and looks in vain.

    The one is not in the table then: it was refused.
    """

    def __init__(self) -> None:
        super().__init__(Bounded(), 1, "block", self._meet, lambda: True)
        self.thread = threading.Thread(target=self.submit, args=(work(2),), daemon=True)
        self._was_full = threading.Event()

    def _meet(self, call: Call) -> None:
        if call.ident == 1:
            profile = sys.getprofile()
            sys.setprofile(None)
            self.thread.start()
            assert self._was_full.wait(10.0)
            sys.setprofile(profile)

    def _enter(self, call: Call, *, is_last: bool = False) -> bool:
        has_entered = super()._enter(call, is_last=is_last)
        if not has_entered and self._calls.sleepers:
            self._was_full.set()
        return has_entered


# A finalizer of anybody's, struck by the handler, can tell nobody but the interpreter.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_handler_that_raises_where_a_call_is_refused() -> None:
    """
    Whoever waits for its room gets it, wherever it strikes.
    """
    for number in itertools.count(1):
        room = WatchedRoom()
        strike = Strike("Room.submit", number)
        strike.during(partial(room.submit, work(1)))
        if room.thread.ident is not None:
            room.thread.join(10.0)
            assert not room.thread.is_alive(), strike.where
        if not strike.where:
            break
    assert number > 5


def test_a_handler_that_raises_on_the_way_in_takes_no_room() -> None:
    """
    Not even just after the place was taken, before anybody was told.
    """
    room = Room(Bounded(), 1, "raise", lambda call: None, lambda: True)
    before = sys.gettrace()

    def strike(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code is not Room._enter.__code__:
            return None
        if event == "return":
            raise KeyboardInterrupt
        return strike

    sys.settrace(strike)
    try:
        with pytest.raises(KeyboardInterrupt):
            room.submit(Call(1).pack(double, (1,), {}))
    finally:
        sys.settrace(before)
    room.submit(Call(2).pack(double, (1,), {}))


def test_a_handler_that_raises_where_room_is_made(gate: Gate) -> None:
    """
    Whoever waits for that room gets it, wherever the handler strikes.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=2) as pool:
        calls: Any = pool._pool.promises.calls
        _, waiting = fill(pool, gate, 2)
        for number in itertools.count(1):
            admitted: deque[WorkerFuture[Any]] = deque()
            submit = partial(lambda to: to.append(pool.submit(int)), admitted)
            thread = threading.Thread(target=submit)
            thread.start()
            wait_until(lambda: calls.sleepers)
            strike = Strike("Bounded.pop", number)
            strike.during(waiting.cancel)
            thread.join(10.0)
            if not admitted:
                gate.open()
            assert admitted, strike.where
            (waiting,) = admitted
            if not strike.where:
                break
        gate.open()
        assert number > 2


def test_a_callback_may_submit_to_a_full_pool() -> None:
    """
    Room is made by another thread than that of the callbacks.
    """
    done = threading.Event()
    with WebWorkerExecutor(1, launcher="fork", max_pending=2) as pool:

        def again(_: object) -> None:
            for number in range(5):
                pool.submit(double, number)
            done.set()

        pool.submit(double, 1).add_done_callback(again)
        assert done.wait(10.0)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_pending": 0}, ValueError, "^max_pending must be >= 1$"),
        ({"max_pending": "9"}, TypeError, "^max_pending must be an integer$"),
        ({"max_pending": 9, "when_full": "drop"}, ValueError, "when_full must be 'block', 'raise'"),
        ({"max_pending": 9, "when_full": -1}, ValueError, "or a number of seconds"),
        ({"when_full": "raise"}, ValueError, "only together with max_pending"),
        ({"when_full": 1.5}, ValueError, "only together with max_pending"),
    ],
)
def test_what_a_bound_cannot_be(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """
    It is refused when it is named.
    """
    with pytest.raises(error, match=text):
        WebWorkerExecutor(1, **options)


@pytest.mark.slow
def test_a_handler_that_submits_is_not_behind_whom_it_has_interrupted() -> None:
    """
    It waits in front of that one, or comes in beyond the bound where nobody else could make room.
    """
    inner: list[WorkerFuture[int]] = []
    with WebWorkerExecutor(1, launcher="fork", max_pending=1, when_full=20.0) as pool:
        assert 1 == pool.submit(abs, -1).result(20.0)
        for step in itertools.count():
            first = pool.submit(time.sleep, 0.005)
            with interrupted_at(step, lambda: inner.append(pool.submit(abs, -2))):
                second = pool.submit(abs, -step)
                assert step == second.result(20.0)
            assert first.done()
            if not inner:
                break
            assert 2 == inner.pop().result(20.0)
    assert 50 < step
