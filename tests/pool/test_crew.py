"""
The crew: places keep their index, whatever process is in them.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import pass_gate
from tests.pool import work
from webworker_executor import (
    BrokenWorkerPool,
    MessageChannel,
    WebWorkerExecutor,
    WorkerCrashedError,
    scope,
)
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.pool.birth import Birth
from webworker_executor.pool.crew import Crew

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dropin.gate import Gate
    from webworker_executor import MessagePort
    from webworker_executor.link.reactor import Reactor
    from webworker_executor.web.launchers import LauncherName


def test_workers_are_started_one_by_one_where_starting_is_dear(gate: Gate) -> None:
    """
    A worker is started only while no other is idle.
    """
    with WebWorkerExecutor(4, launcher="spawn") as pool:
        for _ in range(3):
            pool.submit(abs, 1).result(10.0)
        assert 1 == len(pool._processes or {})


class Broken(SpawnLauncher):
    """A launcher of somebody's own, with a mistake in one of its parts."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part
        self.n_open = 0

    def _run(self, part: str) -> None:
        if part == self.part:
            raise LookupError(f"a mistake in {part}")

    def open(self, reactor: Reactor) -> None:
        self._run("open")
        self.n_open += 1

    def launch(self, *args: Any, **kwargs: Any) -> None:
        self._run("launch")
        super().launch(*args, **kwargs)

    def close(self, on_closed: Callable[[], object]) -> None:
        self.n_open -= 1
        self._run("close")
        super().close(on_closed)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["open", "launch"])
def test_a_launcher_that_raises_has_not_started(part: str) -> None:
    """
    The tasks are told why no worker comes, and the executor ends.
    """
    launcher = Broken(part)
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.submit(abs, -1)
        with pytest.raises(BrokenWorkerPool, match=f"LookupError: a mistake in {part}") as caught:
            future.result(30.0)
        assert isinstance(caught.value.__cause__, LookupError)
        launcher.part = ""
        # What it got wrong was not for ever.
        assert 1 == pool.submit(abs, -1).result(30.0)
    assert 0 == launcher.n_open


def test_an_executor_ends_whose_launcher_cannot_be_closed() -> None:
    """
    Nobody waits for ever, and its threads end.
    """
    with WebWorkerExecutor(1, launcher=Broken("close")) as pool:
        assert 1 == pool.submit(abs, -1).result(30.0)
        thread = pool._pool.thread
    assert thread is not None
    thread.join(10.0)
    assert not thread.is_alive()


def test_forked_workers_are_started_together(forked: WebWorkerExecutor) -> None:
    """
    Before threads of the program can come, as the standard library does.
    """
    with WebWorkerExecutor(3, launcher="fork") as pool:
        pool.submit(abs, 1).result(10.0)
        assert 3 == len(pool._processes or {})


def test_what_the_dead_give_back_is_used_again() -> None:
    """
    Of a crew that has grown, too: another worker takes no more shared memory than there is.
    """
    crew = Crew(Birth(SpawnLauncher()), 1)
    first, entries = crew._ledger(), []
    assert first is not None
    while not first.is_full:
        entries.append(first.claim())
    second = crew._ledger()
    assert second is not None
    assert second is not first
    while not second.is_full:
        second.claim()
    first.release(entries[0])
    assert first is crew._ledger()
    crew.close(lambda: None)


def test_a_dead_worker_is_replaced_in_its_place(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    The index stays and the pid changes.
    """
    future = pool.submit(pass_gate, gate.path, 1)
    (pid,) = gate.wait_for_begun(1)
    # A task of a zygote's worker may begin before the host has heard of the pid; this waits for it.
    assert pid in (pool._processes or {})
    (index,) = (worker.index for worker in pool.workers if worker.pid == pid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError, match=rf"worker {index} \(pid {pid}\) was killed by"):
        future.result(10.0)
    pool.workers[index].post_message("come back")
    assert [2, 4, 6] == list(pool.map(work.double, [1, 2, 3]))
    assert pid not in (pool._processes or {})


def test_a_message_starts_the_worker_of_its_place(launcher: LauncherName) -> None:
    """
    And waits for it.
    """
    with WebWorkerExecutor(2, launcher=launcher, initializer=work.answer_messages) as pool:
        pool.workers[1].post_message("hello")
        assert ["hello", "hello"] == pool.workers[1].receive(10.0).data
        assert pool.workers[1].pid in (pool._processes or {})


def test_the_pid_of_an_empty_place_is_none() -> None:
    """
    Nothing is started by asking.
    """
    pool = WebWorkerExecutor(1)
    assert pool.workers[0].pid is None
    assert "<PoolWorker 0 not running>" == repr(pool.workers[0])
    pool.shutdown()


def post_ports(port: MessagePort) -> None:
    scope.post_message("take", [port])


def test_ports_go_both_ways(launcher: LauncherName) -> None:
    """
    A worker of a pool takes and gives ports as any other target of messages does.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool, MessageChannel() as channel:
        pool.submit(post_ports, channel.port2).result(20.0)
        event = pool.workers[0].receive(10.0)
        assert ("take", pool.workers[0]) == (event.data, event.source)
        event.ports[0].post_message("through")
        assert "through" == channel.port1.receive(10.0).data
        event.ports[0].close()


def test_drain_waits_for_the_worker_of_a_place(gate: Gate) -> None:
    """
    Until it is there and has read, or until nobody will read any more.
    """
    pool = WebWorkerExecutor(1)
    worker = pool.workers[0]
    worker.drain(10.0)
    future = pool.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    worker.post_message([bytes(5_000_000)])
    assert worker.buffered_amount > 0
    with pytest.raises(TimeoutError, match="does not read"):
        worker.drain(0.05)
    gate.open()
    future.result(10.0)
    worker.drain(10.0)
    assert 0 == worker.buffered_amount
    pool.shutdown()
    worker.drain(10.0)
