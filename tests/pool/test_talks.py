"""
What waits for a task's turn is said when it comes.
"""

from __future__ import annotations

import itertools
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from tests.dropin.gate import pass_gate
from tests.patience import wait_until
from tests.pool import talking
from tests.pool.strike import Strike
from webworker_executor.pool.call import Call
from webworker_executor.pool.talk import Conversation
from webworker_executor.pool.talks import Talks

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


def test_the_alarm_of_a_long_task_is_set_once(forked: WebWorkerExecutor) -> None:
    """
    However many rings there are meanwhile, and anew where it may not have been set.
    """
    forked.submit(talking.pid).result(10.0)
    crew, talks, late = forked._pool.crew, Talks(), monotonic() + 3600.0

    def n_alarms() -> int:
        return [when for when, *_ in tuple(crew._on_reactor()._timers)].count(late)

    for deadline in [late, *[monotonic()] * 20]:
        call = Call(forked._pool.promises.next_ident()).pack(talking.pid, (), {})
        talks.watch(call, Conversation(call.future), deadline, crew)
        wait_until(lambda: [late] == [when for when, *_ in tuple(talks._deadlines.values())])
    assert 1 == n_alarms()
    crew.call_soon(lambda: talks.rewind(crew))
    wait_until(lambda: n_alarms() == 2)


def test_a_handler_that_raises_where_what_was_kept_is_sent(forked: WebWorkerExecutor) -> None:
    """
    Each message arrives, once and in order, wherever the handler strikes.
    """
    forked.submit(talking.pid).result(10.0)
    for number in itertools.count(1):
        call = Call(forked._pool.promises.next_ident()).pack(talking.echo, (3,), {})
        future = call.future
        future._owner, future._task = forked._pool, call
        # Kept, as what is posted before the task runs.
        for item in range(3):
            future.post_message(item)
        strike = Strike("Talks.attend", number)
        strike.during(partial(forked._pool.submit, call))
        assert 3 == future.result(10.0), strike.where
        assert [0, 2, 4] == [event.data for event in future.messages()], strike.where
        if not strike.where:
            break
    assert number > 10
