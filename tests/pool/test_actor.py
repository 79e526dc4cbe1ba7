"""
Actors keep a state in one worker, answer in order, and their calls never hang.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import pass_gate
from tests.link.interrupts import ctrl_c, interrupted_at
from tests.pool import talking
from tests.pool.work import double
from webworker_executor import (
    ActorLostError,
    PoolFullError,
    WebWorkerExecutor,
    WorkerCrashedError,
)

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from webworker_executor.web.launchers import LauncherName


def test_an_actor_keeps_its_state(pool: WebWorkerExecutor) -> None:
    """
    Calls run one at a time and in order.
    """
    actor = pool.actor(talking.Counter, 10)
    assert list(range(11, 61)) == [
        future.result(20.0) for future in [actor.add() for _ in range(50)]
    ]
    assert 65 == actor.add(step=5).result(10.0)


def test_an_attribute_is_not_set_here_in_silence(forked: WebWorkerExecutor) -> None:
    """
    The object, whose attribute it was to be, is elsewhere.
    """
    actor = forked.actor(talking.Counter, 1)
    with pytest.raises(AttributeError, match="methods only: 'count' would be set here"):
        actor.count = 5
    assert 2 == actor.add().result(10.0)


def test_actors_are_spread(pool: WebWorkerExecutor) -> None:
    """
    Each goes to the worker with the fewest.
    """
    actors = [pool.actor(talking.Counter) for _ in range(4)]
    pids = [actor.pid().result(10.0) for actor in actors]
    assert pids[:2] == pids[2:]
    assert 2 == len(set(pids))
    assert "<Actor Counter in worker 1>" == repr(actors[3])


def test_calls_can_be_awaited(forked: WebWorkerExecutor) -> None:
    """
    As any future of the executor.
    """

    async def main() -> list[int]:
        actor = forked.actor(talking.Counter)
        first = await actor.add()
        return [first, *await asyncio.gather(actor.add(), actor.add())]

    assert [1, 2, 3] == asyncio.run(asyncio.wait_for(main(), 10.0))


def test_methods_that_are_async(forked: WebWorkerExecutor) -> None:
    """
    They are run to their end, one after the other.
    """
    actor = forked.actor(talking.Counter, 1)
    calls = [actor.add_later(), actor.add(), actor.add_later(2)]
    assert [2, 3, 5] == [call.result(10.0) for call in calls]
    with pytest.raises(ValueError, match="as asked"):
        actor.fail_later().result(10.0)


def test_what_a_method_raises_is_raised_here(forked: WebWorkerExecutor) -> None:
    """
    And the actor goes on.
    """
    actor = forked.actor(talking.Counter, 1)
    with pytest.raises(ValueError, match="as asked"):
        actor.fail().result(10.0)
    with pytest.raises(AttributeError, match="nonsense"):
        actor.nonsense().result(10.0)
    assert 2 == actor.add().result(10.0)


def test_an_actor_that_cannot_be_made_says_why(forked: WebWorkerExecutor) -> None:
    """
    At every call.
    """
    actor = forked.actor(talking.Counter, -1)
    for _ in range(2):
        with pytest.raises(ValueError, match="starts at 0 or more"):
            actor.add().result(10.0)


def test_an_actor_that_cannot_be_sent_says_why(forked: WebWorkerExecutor) -> None:
    """
    At every call, and which argument it was; nobody speaks of a death.
    """
    numbers: Any = (number for number in range(3))
    actor = forked.actor(talking.Counter, start=numbers)
    for _ in range(2):
        with pytest.raises(TypeError, match="cannot pickle 'generator' object") as caught:
            actor.add().result(10.0)
    assert any('kwargs["start"]' in note for note in caught.value.__notes__)


def test_the_death_of_the_worker_fails_every_call(launcher: LauncherName) -> None:
    """
    At once, and no other task.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        actor = pool.actor(talking.Counter)
        assert 1 == actor.add().result(10.0)
        calls = [actor.die(), actor.add(), actor.add()]
        other = pool.submit(double, 2)
        with pytest.raises(WorkerCrashedError, match=r"while running Counter\.die\."):
            calls[0].result(20.0)
        for call in calls[1:]:
            with pytest.raises(ActorLostError, match="Make a new one"):
                call.result(20.0)
        assert 4 == other.result(10.0)
        assert 1 == pool.actor(talking.Counter).add().result(10.0)


def test_a_forgotten_actor_is_dropped_there(forked: WebWorkerExecutor) -> None:
    """
    And its place is counted as free.
    """
    actor = forked.actor(talking.Counter)
    assert 1 == actor.add().result(10.0)
    assert 1 == forked.submit(talking.n_actors).result(10.0)
    del actor
    wait_for_release(forked)


def wait_for_release(executor: WebWorkerExecutor) -> None:
    """Wait until the only actor is gone."""
    gc.collect()
    deadline = time.monotonic() + 10.0
    while executor.submit(talking.n_actors).result(10.0):
        assert time.monotonic() < deadline
    assert [0] == executor._n_actors


def test_no_signal_handler_comes_between_while_one_is_dropped(forked: WebWorkerExecutor) -> None:
    """What it raised would be swallowed, and the object stay there."""

    actors = [forked.actor(talking.Counter)]
    assert 1 == actors[0].add().result(10.0)
    with interrupted_at(0, ctrl_c):
        actors.clear()
    wait_for_release(forked)


def test_an_actor_that_finds_no_room_takes_no_place(gate: Gate) -> None:
    """
    A worker is not kept for an object that it was never asked to make.
    """
    with WebWorkerExecutor(1, launcher="fork", max_pending=1, when_full="raise") as pool:
        future = pool.submit(pass_gate, gate.path, "through")
        with pytest.raises(PoolFullError):
            pool.actor(talking.Counter)
        gate.open()
        assert "through" == future.result(10.0)
        assert [0] == pool._n_actors


def test_other_tasks_get_their_turns(forked: WebWorkerExecutor) -> None:
    """
    In the order in which everything was submitted.
    """
    actor = forked.actor(talking.Counter)
    futures = []
    for number in range(20):
        futures += [actor.add(), forked.submit(double, number)]
    done: list[int] = []
    for place, future in enumerate(futures):
        future.add_done_callback(lambda _, place=place: done.append(place))
    for future in futures:
        future.result(20.0)
    forked.shutdown()
    assert list(range(40)) == done


def test_an_actor_stays_at_home(forked: WebWorkerExecutor) -> None:
    """
    It cannot be sent, and has no special methods.
    """
    actor = forked.actor(talking.Counter)
    with pytest.raises(TypeError, match="an Actor cannot be sent"):
        pickle.dumps(actor)
    with pytest.raises(AttributeError):
        _ = actor.__nonsense__


def test_an_actor_outlives_its_executor_by_name_only() -> None:
    """
    Calls are refused, and dropping it is harmless.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        actor = pool.actor(talking.Counter)
        assert 1 == actor.add().result(10.0)
    with pytest.raises(RuntimeError, match="after shutdown"):
        actor.add()
