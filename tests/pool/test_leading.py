"""
Tests of `webworker_executor.pool.leading`: whoever waits for a worker's only task reads the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import select
import signal
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.link.interrupts import interrupted_after, interrupted_at
from tests.patience import wait_until
from tests.pool.contention import Contention
from tests.pool.strike import Strike
from tests.pool.work import double
from webworker_executor import TaskAborted, WebWorkerExecutor, WorkerCrashedError
from webworker_executor.link import lead as lead_module
from webworker_executor.link.lead import Lead, Leading

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner


def pid_of(number: int) -> int:
    return os.getpid()


def lead_often(pool: WebWorkerExecutor) -> None:
    for number in range(50):
        assert 2 * number == pool.submit(double, number).result(10.0)


def test_round_trips_from_many_threads(forked: WebWorkerExecutor) -> None:
    """
    Threads that wait for the same workers all get their own results.
    """
    results: dict[int, list[int]] = {}

    def trips(name: int) -> None:
        results[name] = [forked.submit(double, number).result(20.0) for number in range(200)]

    with forked:
        threads = [threading.Thread(target=trips, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60.0)
    assert {name: [2 * number for number in range(200)] for name in range(8)} == results


def test_every_way_to_wait_works_after_leading(pool: WebWorkerExecutor) -> None:
    """
    A callback, ``wait``, ``as_completed``, asyncio and looking on all hear of the next result.
    """
    lead_often(pool)
    called = threading.Event()
    pool.submit(double, 1).add_done_callback(lambda _: called.set())
    assert called.wait(10.0)
    lead_often(pool)
    future: Future[Any] = pool.submit(double, 2)
    assert {future} == wait([future], 10.0).done
    lead_often(pool)
    assert [6] == [done.result() for done in as_completed([pool.submit(double, 3)], 10.0)]
    lead_often(pool)

    async def ask() -> int:
        return await asyncio.get_running_loop().run_in_executor(pool, double, 4)

    assert 8 == asyncio.run(ask())
    lead_often(pool)
    future = pool.submit(double, 5)
    deadline = time.monotonic() + 10.0
    while not future.done():
        assert time.monotonic() < deadline
    assert 10 == future.result(0)


def test_an_abort_calls_the_leader_away(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Whoever waits for a task that is aborted hears of it at once.
    """
    future = pool.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    threading.Timer(0.05, future.abort).start()
    with pytest.raises(TaskAborted):
        future.result(20.0)


def test_a_time_out_ends_the_lead(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    ``result(timeout)`` returns in time, and the result comes to who asks later.
    """
    future = pool.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    for timeout in (0, 0.01, 0.05):
        with pytest.raises(TimeoutError):
            future.result(timeout)
    gate.open()
    assert 1 == future.result(20.0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_workers_death_is_told_to_the_leader(
    pool: WebWorkerExecutor, gate: Gate, number: int
) -> None:
    """
    Whoever waits for a task whose worker dies gets the crash.
    """
    lead_often(pool)
    future = pool.submit(pass_gate, gate.path, 1)
    (pid,) = gate.wait_for_begun(1)
    threading.Timer(0.05, os.kill, (pid, number)).start()
    with pytest.raises(WorkerCrashedError):
        future.result(20.0)
    lead_often(pool)


def test_who_leads_for_a_task_on_another_link_is_called_away(
    forked: WebWorkerExecutor, gate: Gate
) -> None:
    """
    Somebody still leads on the link of the worker that had the task before: the end rings there.
    """
    near, far = socket.socketpair()
    with near, far:
        future = forked.submit(pass_gate, gate.path, 1)
        gate.wait_for_begun(1)
        other = Lead(near.fileno())
        future._leader = other
        with pytest.raises(TimeoutError):
            future.result(0.01)
        assert other is future._leader
        rung = select.poll()
        rung.register(other._alarm, select.POLLIN)
        gate.open()
        assert 1 == future.result(20.0)
        assert [(other._alarm, select.POLLIN)] == rung.poll(10_000)


def test_a_task_behind_the_leaders_is_answered(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    A worker that gets more to do while somebody leads is read by the reactor again.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        lead_often(pool)
        first = pool.submit(pass_gate, gate.path, 1)
        gate.wait_for_begun(1)
        waiting = threading.Thread(target=first.result, args=(20.0,))
        waiting.start()
        called = threading.Event()
        pool.submit(double, 1).add_done_callback(lambda _: called.set())
        gate.open()
        assert called.wait(10.0)
        waiting.join(20.0)


HANDLER_WAITS = """
import os, pathlib, signal, sys, threading
from webworker_executor import WebWorkerExecutor
from tests.dropin.gate import Gate, pass_gate
from tests.patience import wait_until
from tests.pool.work import double

seen = []
def handler(*_):
    # It stands in the way of the main thread, which leads.
    inner = pool.submit(double, 21)
    gate.open()
    seen.append(inner.result(20))

def strike():
    wait_until(lambda: leading._lead is not None and leading._lead.is_held)
    os.kill(os.getpid(), signal.SIGALRM)

gate = Gate(pathlib.Path(sys.argv[2]))
with WebWorkerExecutor(1, launcher=sys.argv[1]) as pool:
    pool.submit(double, 1).result()
    (process,) = pool._pool.crew.processes.values()
    leading = process.data.leading
    signal.signal(signal.SIGALRM, handler)
    striker = threading.Thread(target=strike)
    striker.start()
    print(pool.submit(pass_gate, gate.path, "through").result(20), seen)
    striker.join()
"""


def test_a_signal_handler_may_wait_while_its_thread_leads(
    run_script: ScriptRunner, launcher: str, tmp_path: Path
) -> None:
    """
    A handler that waits for the same worker, in the middle of a lead, gets its result.
    """
    done = run_script(HANDLER_WAITS, launcher, str(tmp_path))
    assert ("through [42]\n", "") == (done.stdout, done.stderr)


HANDLER_RAISES = """
import signal, sys
from webworker_executor import WebWorkerExecutor
from tests.pool.work import double, first_item

class Stop(Exception):
    pass

may_raise = False
def handler(*_):
    global may_raise
    if may_raise:
        may_raise = False
        raise Stop

# Small ones, and some whose memory is lent: the end of the loan is read with the answer.
is_large = sys.argv[2] == "large"
fn, count = (first_item, 1000) if is_large else (double, 4000)

n_stopped = 0
with WebWorkerExecutor(1, launcher=sys.argv[1]) as pool:
    pool.submit(double, 1).result()
    data = bytearray(1 << 18)
    # So that no piece of memory is made, and none goes, while handlers raise.
    for future in [pool.submit(first_item, data) for _ in range(16)]:
        future.result()
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    for number in range(count):
        future = None
        data[0] = number % 256
        while True:
            try:
                may_raise = True
                if future is None:
                    future = pool.submit(fn, data if is_large else number)
                value = future.result(20)
                may_raise = False
                break
            except Stop:
                may_raise = False
                n_stopped += 1
                if future is not None and future.done() and future.exception():
                    # It was raised while the arguments were packed.
                    future = None
        assert value == (data[0] if is_large else 2 * number), (value, number)
    signal.setitimer(signal.ITIMER_REAL, 0)
print("ok", n_stopped > 100)
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", ["small", "large"])
def test_handlers_that_raise_lose_no_answer(
    run_script: ScriptRunner, launcher: str, size: str
) -> None:
    """
    An exception that a signal handler throws into a lead costs no result, at whatever line.
    """
    done = run_script(HANDLER_RAISES, launcher, size)
    assert ("ok True\n", "") == (done.stdout, done.stderr)


def fill(path: str, nbytes: int) -> bytearray:
    return bytearray(pass_gate(path, nbytes))


def leading_of(pool: WebWorkerExecutor) -> Leading:
    (process,) = pool._pool.crew.processes.values()
    assert process.data is not None
    return process.data.leading


def open_when_led(leading: Leading, gate: Gate) -> bool:
    """
    Open a gate, and say whether somebody led by then.

    The reactor, which is a step behind, may have taken the reading back.
    """
    try:
        wait_until(lambda: leading._leader is not None, 1.0)
    except AssertionError:
        return False
    finally:
        gate.open()
    return True


def test_a_handler_that_raises_where_a_lead_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What was read and is no leader's to take is handed over, wherever it strikes.
    """
    # However long it takes until the leader is seen, the lease goes on.
    monkeypatch.setattr(lead_module, "LEASE_SECONDS", 60.0)
    number = 1
    for name in map(str, itertools.count()):
        (tmp_path / name).mkdir()
        gate = Gate(tmp_path / name)
        with contextlib.closing(gate), WebWorkerExecutor(1, launcher="fork") as pool:
            pool.submit(abs, -1).result(20.0)
            future = pool.submit(fill, gate.path, 300_000)
            strike = Strike("Leading.end", number)
            with ThreadPoolExecutor(1) as beside:
                # The answer comes to who leads, not to the reactor before.
                was_led = beside.submit(open_when_led, leading_of(pool), gate)
                strike.during(future.exception)
            # Asked for nothing: whoever waits for the same worker would look after it.
            wait_until(future.done)
        if strike.where:
            number += 1
        elif was_led.result():
            break
    assert number > 2


def test_a_handler_that_submits_where_a_lease_begins(gate: Gate) -> None:
    """
    The reactor looks at the link again: both answers come.
    """
    inner: list[Future[Any]] = []

    def submit() -> None:
        inner.append(pool.submit(abs, -2))
        gate.open()

    with WebWorkerExecutor(1, launcher="fork") as pool:
        pool.submit(abs, -1).result(20.0)
        leading = leading_of(pool)
        wait_until(lambda: not leading.is_leased)
        future = pool.submit(pass_gate, gate.path, None)
        with interrupted_after("eventfd_write", submit):
            assert future.result(20.0) is None
        assert [2] == [each.result(20.0) for each in inner]


@pytest.mark.slow
@pytest.mark.parametrize("is_first", [False, True], ids=["warm", "first"])
def test_a_handler_that_waits_within_a_submit(is_first: bool) -> None:
    """
    It gets its result, or an error where it would wait for ever; what it submits is done.
    """
    said: list[str] = []

    def submit_and_wait(pool: WebWorkerExecutor, inner: list[Future[int]]) -> None:
        inner.append(pool.submit(double, 21))
        try:
            assert 42 == inner[-1].result()
        except RuntimeError as error:
            said.append(str(error))

    # The first call takes many times as many steps, and a new pool for each.
    for step in itertools.count(0, 5 if is_first else 1):
        inner: list[Future[int]] = []
        with WebWorkerExecutor(1, launcher="fork") as pool:
            if not is_first:
                pool.submit(abs, -1).result(20.0)
            with interrupted_at(step, partial(submit_and_wait, pool, inner)):
                outer = pool.submit(abs, -step)
            assert step == outer.result(20.0)
            assert [42] * len(inner) == [future.result(20.0) for future in inner]
        if not inner:
            break
    assert 20 < step
    assert 0 < len(said) < step
    assert all("Submit in the handler, and wait outside" in text for text in said)


def test_a_handler_that_submits_never_waits_for_who_waits_for_its_thread() -> None:
    """
    Wherever it interrupts whoever leads: the pool's lock comes before that of a link.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        assert 2 == pool.submit(double, 1).result(20.0)
        contention = Contention(pool)
        for step in itertools.count():
            contention.link.leading.end_lease()
            n_before = len(contention.others)
            future = pool.submit(double, step)
            with interrupted_at(step, contention.submit):
                assert 2 * step == future.result(20.0)
            if step > 60 and len(contention.others) == n_before:
                break
        contention.join()
    assert len(contention.others) > 20


def test_a_handler_that_submits_amid_a_look_at_what_waits_does_neither() -> None:
    """
    The same for ``buffered_amount``.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        assert 2 == pool.submit(double, 1).result(20.0)
        contention = Contention(pool)
        for step in range(40):
            with interrupted_at(step, contention.submit):
                assert 0 <= pool.workers[0].buffered_amount
            assert 2 * step == pool.submit(double, step).result(20.0)
        contention.join()
    assert contention.others
