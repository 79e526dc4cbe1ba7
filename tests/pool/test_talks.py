"""
What waits for a task's turn is said when it comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dropin.gate import pass_gate
from tests.pool import talking

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from webworker_executor import WebWorkerExecutor


def test_tasks_that_wait_get_their_own(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Messages for tasks that stand in line go to each when its turn comes.
    """
    first = forked.submit(pass_gate, gate.path, None)
    gate.wait_for_begun(1)
    futures = [forked.submit(talking.echo, 2) for _ in range(20)]
    for number, future in enumerate(futures):
        future.post_message(number)
        future.post_message("x" * number)
    gate.open()
    first.result(10.0)
    for number, future in enumerate(futures):
        assert [2 * number, "xx" * number] == [event.data for event in future.messages()]
