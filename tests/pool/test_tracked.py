"""
A future shows what its task is doing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from tests.pool.work import Unpackable, double, fail_at, make_unopenable

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from webworker_executor import WebWorkerExecutor


def test_a_repr_tells_the_state(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Of the future and of the worker, in one line, from the beginning to the end.
    """
    (worker,) = forked.workers
    assert "<PoolWorker 0 not running>" == repr(worker)
    running = forked.submit(pass_gate, gate.path, 1)
    waiting = forked.submit(double, 2)
    cancelled = forked.submit(double, 3)
    cancelled.cancel()
    (pid,) = gate.wait_for_begun(1)
    name = "tests.dropin.gate.pass_gate #1"
    assert re.fullmatch(rf"<WorkerFuture {name} running in worker 0 for \d+\.\d s>", repr(running))
    assert "<WorkerFuture tests.pool.work.double #2 pending>" == repr(waiting)
    assert "<WorkerFuture cancelled>" == repr(cancelled)
    while "starting" in repr(worker):
        assert f"pid={pid}" in repr(worker)
    assert f"<PoolWorker 0 pid={pid} busy tasks=1>" == repr(worker)
    (call,) = [call for call in forked._pool.promises.calls.values() if call.ident == 1]
    assert f"<Call {name} sent>" == repr(call)
    gate.open()
    assert 4 == waiting.result(10.0)
    assert "<WorkerFuture finished in worker 0, returned int>" == repr(waiting)
    assert f"<PoolWorker 0 pid={pid} idle>" == repr(worker)


def test_a_repr_opens_nothing(forked: WebWorkerExecutor) -> None:
    """
    What a future holds is opened by who asks for it, and shown afterwards.
    """
    future = forked.submit(make_unopenable)
    failed = forked.submit(fail_at, 1, 1)
    assert 4 == forked.submit(double, 2).result(10.0)
    words = "finished in worker 0, returned what nobody has opened yet"
    assert f"<WorkerFuture {words}>" == repr(future)
    assert "<WorkerFuture finished in worker 0, raised an exception>" == repr(failed)
    with pytest.raises(ValueError, match="bad 1"):
        failed.result(0)
    with pytest.raises(ValueError, match="invalid literal"):
        future.result(0)
    assert "<WorkerFuture finished in worker 0, raised ValueError>" == repr(failed) == repr(future)


def test_what_was_never_a_task_has_no_place(forked: WebWorkerExecutor) -> None:
    """
    A call that could not be packed.
    """
    future = forked.submit(double, Unpackable())  # type: ignore[call-overload]  # what it does not take
    assert "<WorkerFuture finished, raised ValueError>" == repr(future)
