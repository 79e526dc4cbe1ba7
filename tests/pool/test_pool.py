"""
The pool under signals: handlers that raise, submit or shut down at any line lose nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from tests.dropin.gate import pass_gate
from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from tests.pool.strike import Interrupt, Strike
from tests.pool.talking import echo
from tests.pool.work import double
from tests.threads import fork_while_held
from webworker_executor import (
    BrokenWorkerPool,
    TaskTimeout,
    WebWorkerExecutor,
    WorkerCrashedError,
    WorkerFuture,
    ZygoteLauncher,
)
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any

    from tests.dropin.gate import Gate
    from webworker_executor.web.launchers import LauncherName


class Striker:
    """
    Sends this thread a signal again and again; the handler strikes only while it is armed.

    Args:
        strike: Called by the handler, between any two lines of the main thread.
    """

    def __init__(self, strike: Callable[[], object]) -> None:
        self._strike = strike
        self._stop = threading.Event()
        self._target = threading.get_ident()
        self._thread = threading.Thread(target=self._send)
        self.is_armed = False
        self.n_strikes = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGUSR2, self._handle)
        # A thread that wants to send waits so long for its turn. With the usual 5 ms nearly all
        # submits would go by unstruck: 150,000 for 200 strikes, instead of 30,000.
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(0.00005)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        sys.setswitchinterval(self._interval)
        signal.signal(signal.SIGUSR2, self._before)

    def _send(self) -> None:
        # The pause is an odd one, so that every line is struck in the end.
        while not self._stop.wait(0.00007):
            signal.pthread_kill(self._target, signal.SIGUSR2)

    def _handle(self, *_: object) -> None:
        if self.is_armed:
            self.is_armed = False
            self.n_strikes += 1
            self._strike()

    def submit_many(self, pool: WebWorkerExecutor, n_strikes: int) -> list[Future[Any]]:
        """
        Submit until struck so often; a future that never reached us is no loss.

        A strike while the arguments are packed is told by the future: what raised is not known.
        """
        futures: list[Future[Any]] = []
        while self.n_strikes < n_strikes:
            try:
                self.is_armed = True
                futures.append(pool.submit(double, len(futures)))
                self.is_armed = False
            except Interrupt:
                continue
        return futures


# A finalizer of anybody's, struck by the handler, can tell nobody but the interpreter.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_handlers_that_raise_lose_no_future(pool: WebWorkerExecutor) -> None:
    """
    Each future that ``submit`` returned is resolved, and the pool is usable afterwards.
    """

    def fail() -> None:
        raise Interrupt

    pool.submit(double, 0).result(10.0)
    with Striker(fail) as striker:
        futures = striker.submit_many(pool, 200)
    outcomes = [future.exception(20.0) or future.result() for future in futures]
    wrong = [
        (number, outcome)
        for number, outcome in enumerate(outcomes)
        if outcome != 2 * number and not isinstance(outcome, Interrupt)
    ]
    assert [] == wrong
    assert 6 == pool.submit(double, 3).result(10.0)


Held = list[WorkerFuture[object]]


def submit_first(pool: WebWorkerExecutor, _: Held) -> Callable[[], object]:
    return lambda: pool.submit(double, 1)


def submit_on_time(pool: WebWorkerExecutor, _: Held) -> Callable[[], object]:
    pool.submit(double, 1).result(10.0)
    return lambda: pool.options(timeout=0.01).submit(double, 1)


def cancel(pool: WebWorkerExecutor, held: Held) -> Callable[[], object]:
    held.append(pool.submit(echo, 1))
    return pool.submit(double, 1).cancel


def abort(pool: WebWorkerExecutor, held: Held) -> Callable[[], object]:
    held.append(pool.submit(echo, 1))
    future = pool.submit(double, 1)
    future.add_done_callback(id)
    return future.abort


def shut_down(pool: WebWorkerExecutor, _: Held) -> Callable[[], object]:
    pool.submit(double, 1).result(10.0)
    return pool.shutdown


# A callback of a weak reference that is struck can tell nobody but the interpreter.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("begin", "within"),
    [
        (submit_first, "Crew.start"),
        (submit_on_time, "Talks.watch"),
        (cancel, "Pool._drop"),
        (abort, "Stopper._stop"),
        (shut_down, "EndingPool.wait"),
    ],
)
def test_a_handler_that_raises_at_any_call(
    begin: Callable[[WebWorkerExecutor, Held], Callable[[], object]], within: str
) -> None:
    """
    Wherever it strikes, the pool goes on, keeps time and comes to its end.
    """
    with ZygoteLauncher() as zygote:
        for number in itertools.count(1):
            strike, pool = Strike(within, number), WebWorkerExecutor(1, launcher=zygote)
            held: Held = []
            strike.during(begin(pool, held))
            for future in held:
                future.post_message(1)
            if not pool._pool.is_shut:
                assert 6 == pool.submit(double, 3).result(10.0), strike.where
            if begin is submit_on_time:
                late = pool.options(timeout=0.02).submit(time.sleep, 60.0)
                assert isinstance(late.exception(20.0), TaskTimeout), strike.where
            ender = threading.Thread(target=pool.shutdown, daemon=True)
            ender.start()
            ender.join(10.0)
            assert not ender.is_alive(), strike.where
            if not strike.where:
                break
    assert number > 2


def test_a_handler_that_raises_before_a_submit_has_begun() -> None:
    """
    What is in the table by then is done, and does not take up room for ever.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=1, when_full=10.0) as pool:
        pool.submit(double, 1).result(10.0)
        strike = Strike("Steps.do", 1)
        strike.during(lambda: pool.submit(double, 2))
        assert "call in" in strike.where
        assert 6 == pool.submit(double, 3).result(10.0)


class Crossing:
    """
    An event, and another that somebody brings in the moment in which this one is looked at.
    """

    def __init__(self, bring: Callable[[], object]) -> None:
        self._bring = [bring]

    def __eq__(self, other: object) -> bool:
        while self._bring:
            self._bring.pop()()
        return self is other

    __hash__ = None  # type: ignore[assignment]  # it is not to be looked up

    def __call__(self) -> tuple[()]:
        return ()


def test_what_is_brought_during_a_recovery_is_kept(forked: WebWorkerExecutor) -> None:
    """
    Threads bring events whenever they like, and somebody waits for each.
    """
    steps = forked._pool._steps
    came = threading.Event()

    def late() -> tuple[()]:
        came.set()
        return ()

    with steps.lock:
        steps.inbox.append((Crossing(lambda: steps.inbox.append((late, ()))), ()))
        steps.tear()
    forked.submit(abs, -1).result(20.0)
    assert came.is_set()


@pytest.mark.slow
def test_handlers_may_submit(pool: WebWorkerExecutor) -> None:
    """
    A submit in the middle of a submit is a task like others.
    """
    inner: list[Future[Any]] = []
    pool.submit(double, 0).result(10.0)
    with Striker(lambda: inner.append(pool.submit(double, len(inner)))) as striker:
        outer = striker.submit_many(pool, 200)
    for futures in (outer, inner):
        assert [2 * n for n in range(len(futures))] == [f.result(20.0) for f in futures]
    assert 200 == len(inner)


@pytest.mark.slow
def test_a_handler_may_submit_during_the_first_submit() -> None:
    """
    While the pool's threads are being made, too: no future is lost, no thread is left.
    """
    for _ in range(20):
        inner: list[Future[Any]] = []
        with WebWorkerExecutor(1, launcher="fork") as pool:

            def strike(pool: WebWorkerExecutor = pool, inner: list[Future[Any]] = inner) -> None:
                inner.append(pool.submit(double, 2))

            with Striker(strike) as striker:
                striker.submit_many(pool, 1)
            assert [4] == [future.result(10.0) for future in inner]


def blocked_signals(_: object = None) -> set[int]:
    """List what this thread takes no part in."""
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}


def takes(thread: threading.Thread, number: int) -> bool:
    """Tell whether the kernel may choose a thread for a signal."""
    with open(f"/proc/self/task/{thread.native_id}/status") as status:
        (mask,) = (line.split()[1] for line in status if line.startswith("SigBlk"))
    return not int(mask, 16) >> (number - 1) & 1


def test_signals_go_to_the_main_thread(launcher: LauncherName) -> None:
    """
    None is given to a thread of ours, whose handler would have to wait for the main thread's turn;
    handlers and tasks have the signals that they always had.
    """
    before = blocked_signals()
    seen: list[set[int]] = []
    with WebWorkerExecutor(1, launcher=launcher) as executor:
        future = executor.submit(blocked_signals)
        future.add_done_callback(lambda _: seen.append(blocked_signals()))
        assert before == future.result(20.0)
        ours = [each for each in threading.enumerate() if each.name.startswith("webworker-")]
        assert {"webworker-reactor", "webworker-events"} == {thread.name for thread in ours}
        wait_until(lambda: not any(takes(thread, signal.SIGINT) for thread in ours))
    assert [before] == seen


def test_a_handler_may_shut_down(launcher: LauncherName) -> None:
    """
    What was taken before is done, what comes after is refused.
    """
    pool = WebWorkerExecutor(1, launcher=launcher)
    with (
        Striker(lambda: pool.shutdown(wait=False)) as striker,
        pytest.raises(RuntimeError, match="after shutdown"),
    ):
        striker.submit_many(pool, 2)
    pool.shutdown()
    assert pool._pending_work_items == {}


def test_a_handler_may_shut_down_where_a_message_is_posted() -> None:
    """
    Wherever it does, the worker is seen to leave, and the pool ends.
    """
    struck = [0]
    for step in itertools.count():
        struck.clear()
        pool = WebWorkerExecutor(1, launcher="fork")
        pool.submit(abs, -1).result(20.0)
        worker = pool.workers[0]

        def strike(pool: WebWorkerExecutor = pool) -> None:
            struck.append(1)
            pool.shutdown(wait=False)

        with contextlib.suppress(RuntimeError), interrupted_at(step, strike):
            worker.post_message("to nobody")
        pool.shutdown(wait=False)
        wait_until(pool._pool.stopped.is_set)
        pool.shutdown()
        if not struck:
            break
    assert step > 20


def test_many_threads_submit(pool: WebWorkerExecutor) -> None:
    """
    Each gets its own results.
    """
    results: dict[int, list[int]] = {}

    def run(name: int) -> None:
        futures = [pool.submit(double, 1000 * name + number) for number in range(100)]
        results[name] = [future.result(20.0) for future in futures]

    threads = [threading.Thread(target=run, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {name: [2 * (1000 * name + n) for n in range(100)] for name in range(8)}
    assert expected == results


def test_a_crash_breaks_a_pool_that_asked_for_it(launcher: LauncherName, gate: Gate) -> None:
    """
    ``on_crash="break"`` is the standard library's rule, in its words.
    """
    with WebWorkerExecutor(1, launcher=launcher, on_crash="break") as pool:
        futures = [pool.submit(pass_gate, gate.path, number) for number in range(3)]
        (pid,) = gate.wait_for_begun(1)
        os.kill(pid, signal.SIGKILL)
        for future in futures:
            with pytest.raises(
                BrokenWorkerPool, match="terminated abruptly while the future"
            ) as told:
                future.result(10.0)
            cause = told.value.__cause__
            assert isinstance(cause, WorkerCrashedError)
            assert (pid, "SIGKILL") == (cause.pid, cause.signal_name)
            assert "pass_gate" in str(cause.task)
        with pytest.raises(BrokenWorkerPool, match="not usable anymore") as told:
            pool.submit(abs, 1)
        assert isinstance(told.value.__cause__, WorkerCrashedError)
        assert isinstance(pool._broken, str)


def test_a_task_queued_behind_a_crash_is_done(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Only the task that ran fails.
    """
    running = forked.submit(pass_gate, gate.path, 1)
    behind = [forked.submit(double, number) for number in range(10)]
    (pid,) = gate.wait_for_begun(1)
    os.kill(pid, signal.SIGKILL)
    assert isinstance(running.exception(10.0), WorkerCrashedError)
    assert [2 * number for number in range(10)] == [future.result(10.0) for future in behind]


def test_ten_thousand_can_be_cancelled(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    True means that it never ran, False that it did.
    """
    forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    futures = [forked.submit(double, number) for number in range(2000)]
    cancelled = [future.cancel() for future in futures]
    gate.open()
    forked.shutdown()
    assert cancelled == [future.cancelled() for future in futures]
    assert all(future.done() for future in futures)


def test_an_interrupted_with_statement_abandons_its_work(gate: Gate) -> None:
    """
    After Ctrl-C what runs is ended and what waits is cancelled, at once.
    """
    futures: list[Future[Any]] = []

    def run() -> None:
        with WebWorkerExecutor(1, launcher="fork") as pool:
            futures.extend(pool.submit(pass_gate, gate.path, number) for number in range(3))
            gate.wait_for_begun(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert all(future.done() for future in futures)
    assert isinstance(futures[0].exception(0), BrokenWorkerPool)
    assert futures[2].cancelled()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_copy_that_is_forked_while_another_thread_opens_the_pool() -> None:
    """
    The copy is told whose the executor is, though the host had not heard of it.
    """
    pool = WebWorkerExecutor(1)
    thread = threading.Thread(target=lambda: pool.submit(abs, -1).result(20.0))
    with host._lock:
        thread.start()
        # As soon as somebody else has that lock, the thread waits for the host's.
        wait_until(lambda: pool._pool._is_begun)

        def submit() -> bool:
            try:
                pool.submit(abs, -1)
            except RuntimeError as error:
                pool.shutdown()
                return "belongs to the parent" in str(error)
            return False

        assert 0 == fork_while_held([], submit)
    thread.join()
    pool.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_an_executor_that_was_not_used_may_be_used_in_a_copy() -> None:
    """
    There and here, whatever another thread did with it when the program was forked.
    """
    pool = WebWorkerExecutor(1)

    def use() -> object:
        with pool:
            return pool.submit(abs, -1).result(20.0) == 1

    assert 0 == fork_while_held([pool._pool.lock], use)
    with pool:
        assert 1 == pool.submit(abs, -1).result(20.0)
