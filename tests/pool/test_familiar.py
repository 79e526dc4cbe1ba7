"""
Programs that look into the standard library's executor find the same in ours.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor


def test_what_is_private_there_is_found_here(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Processes by pid, futures by number, the states, the context and the thread to join.
    """
    future = forked.submit(pass_gate, gate.path, None)
    (pid,) = gate.wait_for_begun(1)
    assert [pid] == list(forked._processes or ())
    (item,) = forked._pending_work_items.values()
    assert (future, pass_gate) == (item.future, item.fn)
    assert (False, False) == (forked._broken, forked._shutdown_thread)
    assert forked._mp_context.get_start_method()
    manager = forked._executor_manager_thread
    assert manager is not None
    assert "webworker-reactor" == manager.name
    assert manager.ident in {thread.ident for thread in threading.enumerate()}
    gate.open()
    assert 2 == forked.submit(double, 1).result(10.0)
    forked.shutdown(wait=False)
    manager.join()
    assert not manager.is_alive()
    assert forked._shutdown_thread
    assert (None, None) == (forked._processes, forked._executor_manager_thread)


def test_the_manager_is_joined_in_time(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    It is there from the first task on, and whoever joins it may give up.
    """
    assert forked._executor_manager_thread is None
    future = forked.submit(pass_gate, gate.path, 5)
    manager = forked._executor_manager_thread
    assert manager is not None
    forked.shutdown(wait=False)
    manager.join(0.01)
    assert manager.is_alive()
    gate.open()
    manager.join(10.0)
    assert not manager.is_alive()
    assert 5 == future.result(0)


@pytest.mark.parametrize(
    "name",
    [
        "_processes",
        "_pending_work_items",
        "_executor_manager_thread",
        "_broken",
        "_mp_context",
        "_max_workers",
    ],
)
def test_a_program_may_put_its_own_there(name: str) -> None:
    """
    It finds that there, and the pool goes on.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        own: Any = {}
        setattr(pool, name, own)
        assert getattr(pool, name) is own
        assert 4 == pool.submit(double, 2).result(10.0)


def test_a_program_may_shut_the_pool() -> None:
    """
    By what tells whether it is.
    """
    pool = WebWorkerExecutor(1)
    pool._shutdown_thread = False
    assert not pool._shutdown_thread
    pool._shutdown_thread = True
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(double, 1)
