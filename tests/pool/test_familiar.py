"""
Programs that look into the standard library's executor find the same in ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dropin.gate import Gate, pass_gate
from tests.pool.work import double

if TYPE_CHECKING:
    from webworker_executor import WebWorkerExecutor


def test_what_is_private_there_is_found_here(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Processes by pid, futures by number, the states, the context and the thread to join.
    """
    future = forked.submit(pass_gate, gate.path, None)
    (pid,) = gate.wait_for_begun(1)
    assert [pid] == list(forked._processes or ())
    assert [future] == list(forked._pending_work_items.values())
    assert (False, False) == (forked._broken, forked._shutdown_thread)
    assert forked._mp_context.get_start_method()
    manager = forked._executor_manager_thread
    gate.open()
    assert 2 == forked.submit(double, 1).result(10.0)
    forked.shutdown(wait=False)
    assert manager is not None
    manager.join()
    assert forked._shutdown_thread
    assert (None, None) == (forked._processes, forked._executor_manager_thread)
