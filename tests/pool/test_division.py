"""
Tests of `webworker_executor.pool.division`: a chunk that takes long is cut, and no call is lost.

Calls wait for each other at a barrier, or at a gate: whoever comes late changes nothing.
"""

from __future__ import annotations

import os
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.patience import wait_until
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.pool.call import Call
from webworker_executor.pool.chunk import run_all
from webworker_executor.pool.division import LONG_SECONDS
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import COUNT, DIVIDED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.web.launchers import LauncherName

# The first ones are run to learn how long they take.
ALL = range(200)


def meet(path: str, number: int) -> int:
    """Return the number; two of them wait for each other at the ends of a named pipe."""
    if number in {150, 151}:
        with open(path, "r" if number == 150 else "w"):
            return number
    return number


def stop_at(path: str, log: str, stops: tuple[int, ...], number: int) -> int:
    """Note that a call has begun, and return the number; some of them wait at a gate."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{number}\n".encode())
    os.close(descriptor)
    return pass_gate(path, number) if number in stops else number


class Stops:
    """
    A map whose calls stop at a gate, in some places.

    Args:
        gate: The gate.
        folder: Where the calls note that they begin.
        places: Which of them stop.
    """

    def __init__(self, gate: Gate, folder: Path, *places: int) -> None:
        self.gate = gate
        self._log = folder / "log"
        self._places = places

    def map(self, pool: WebWorkerExecutor) -> Iterator[int]:
        n = len(ALL)
        stops = [self._places] * n
        return pool.map(stop_at, [self.gate.path] * n, [str(self._log)] * n, stops, ALL)

    def begun(self) -> list[int]:
        """Return the calls that have begun, in order."""
        return [int(line) for line in self._log.read_text().split()] if self._log.exists() else []

    def submit(self, pool: WebWorkerExecutor) -> WorkerFuture[Any]:
        """Submit the calls as one chunk."""
        fn = partial(stop_at, self.gate.path, str(self._log), self._places)
        future: WorkerFuture[Any] = pool.submit(run_all, fn, tuple(ALL))
        # On a busy machine the calls before that may take as long as a chunk may.
        self.gate.wait_for_begun(1)
        pool._pool.division.watch(future, len(ALL))
        return future


def all_of(future: WorkerFuture[Any]) -> list[int]:
    """Return what came of a chunk and of its parts, which may be cut in their turn."""
    own = list(future.result(20.0)[2])
    return own + [number for part in future._parts for number in all_of(part)]


@pytest.fixture
def stops(pool: WebWorkerExecutor, gate: Gate, tmp_path: Path) -> Stops:
    """
    Have one call of a map stop at the gate.
    """
    return Stops(gate, tmp_path, 150)


def test_calls_of_one_chunk_can_meet(pool: WebWorkerExecutor, tmp_path: Path) -> None:
    """
    The second one is given to the worker that has nothing to do; order and results stay.
    """
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    assert list(ALL) == list(pool.map(partial(meet, path), ALL))


class Slow:
    """An item that waits at a gate as it is unpacked."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return pass_gate, (self._path, 149)


def test_what_is_being_unpacked_is_asked_again(
    pool: WebWorkerExecutor, gate: Gate, tmp_path: Path
) -> None:
    """
    A worker that has not come to the calls yet can give none back, and says nothing.
    """
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    chunk = tuple(Slow(gate.path) if number == 149 else number for number in ALL)
    future: WorkerFuture[Any] = pool.submit(run_all, partial(meet, path), chunk)
    pool._pool.division.watch(future, len(ALL))
    (span,) = pool._pool.division._spans.values()
    gate.wait_for_begun(1)
    wait_until(lambda: span.ask_at > LONG_SECONDS)
    gate.open()
    assert list(ALL) == all_of(future)


def test_all_but_the_call_that_takes_long_are_done_elsewhere(
    pool: WebWorkerExecutor, stops: Stops
) -> None:
    """
    Each once, though nobody asks for results; also behind a shutdown that does not wait.
    """
    results = stops.map(pool)
    stops.gate.wait_for_begun(1)
    pool.shutdown(wait=False)
    wait_until(lambda: sorted(stops.begun()) == list(ALL), tell=stops.begun)
    stops.gate.open()
    assert list(ALL) == list(results)


def test_what_is_slow_in_a_piece_is_cut_again(
    launcher: LauncherName, gate: Gate, tmp_path: Path
) -> None:
    """
    Wherever a worker is left that could run the rest.
    """
    stops = Stops(gate, tmp_path, 150, 152, 154)
    with WebWorkerExecutor(4, launcher=launcher) as pool:
        results = stops.map(pool)
        wait_until(lambda: sorted(stops.begun()) == list(ALL), tell=stops.begun)
        gate.open()
        assert list(ALL) == list(results)


def test_what_nobody_wants_never_runs(launcher: LauncherName, gate: Gate, tmp_path: Path) -> None:
    """
    Where the iterator is closed, a running chunk gives up the rest of its calls.
    """
    stops = Stops(gate, tmp_path, 150)
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = stops.submit(pool)
        gate.wait_for_begun(1)
        (span,) = pool._pool.division._spans.values()
        pool._pool.division.forsake(future)
        wait_until(lambda: 151 == span.stop)
        gate.open()
        assert tuple(range(151)) == future.result(20.0)[2]
    assert list(range(151)) == stops.begun()


def test_a_map_that_is_dropped_forsakes_its_chunks(
    forked: WebWorkerExecutor, gate: Gate, tmp_path: Path
) -> None:
    """
    The one that runs; what waits is cancelled.
    """
    results = Stops(gate, tmp_path, 150).map(forked)
    assert 0 == next(results)
    gate.wait_for_begun(1)
    del results
    spans = forked._pool.division._spans
    left = [spans[ident] for ident in forked._pool.promises.calls if ident in spans]
    assert left
    assert all(span.is_forsaken for span in left)


def test_a_part_is_not_lost_with_its_chunk(pool: WebWorkerExecutor, stops: Stops) -> None:
    """
    A worker that dies takes the call along that it ran, and those before it in its chunk.
    """
    future = stops.submit(pool)
    (pid,) = stops.gate.wait_for_begun(1)
    wait_until(lambda: future._parts)
    os.kill(pid, 9)
    # What was given back is not among what is lost.
    with pytest.raises(WorkerCrashedError, match="running a chunk of 151 calls of "):
        future.result(20.0)
    assert list(range(151, 200)) == [number for part in future._parts for number in all_of(part)]


def give_back_too_much(path: str, numbers: tuple[int, ...]) -> None:
    """Wait until somebody asks, and give back more than there is."""
    from webworker_executor.child import desk
    from webworker_executor.web import running

    class Liar:
        def divide(self, tell: Any) -> None:
            tell(len(numbers) + 1)

    running.be_divisible(Liar())
    try:
        pass_gate(path, None)
    finally:
        running.divisible = None
    assert desk.desk is not None


def test_a_worker_that_gives_back_too_much_is_ended(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Nothing it says is believed; its task fails with why.
    """
    future = pool.submit(give_back_too_much, gate.path, (1, 2, 3))
    pool._pool.division.watch(future, 3)
    with pytest.raises(WorkerCrashedError, match="it gave back calls that it was not given"):
        future.result(20.0)


def test_what_a_task_gives_back_unasked_is_no_news(forked: WebWorkerExecutor) -> None:
    """
    It may have ended by other means: its end and the frame were under way at the same time.
    """
    pool = forked._pool
    forked.submit(abs, 1).result(20.0)
    (process,) = pool.crew.processes.values()
    (frame_of_nobody,) = encode(DIVIDED, 1 << 40, COUNT.pack(3))
    frames = list(process_decoder().feed(frame_of_nobody, []))
    pool.crew.call_soon(lambda: pool._reports.received(process, frames))
    assert 2 == forked.submit(abs, 2).result(20.0)
    assert process in pool.crew.processes.values()


def process_decoder() -> Any:
    """Return what reads frames of a worker."""
    from webworker_executor.wire.decoder import FrameDecoder
    from webworker_executor.wire.kinds import FROM_WORKER

    return FrameDecoder(FROM_WORKER)


def test_what_has_buffers_is_left_whole(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    What goes along with a call cannot be in two; it runs to its end as it is.
    """
    results = pool.map(pass_gate_with, [(gate.path, bytearray(300_000))] * 64)
    gate.wait_for_begun(1)
    gate.open()
    assert [300_000] * 64 == list(results)


def pass_gate_with(item: tuple[str, bytearray]) -> int:
    """Wait at a gate, and return how large the other thing is."""
    path, data = item
    return pass_gate(path, len(data))


def test_maps_that_are_done_leave_nothing(forked: WebWorkerExecutor) -> None:
    """
    What is known of chunks is let go of, and nobody looks any more.
    """
    for _ in range(20):
        assert list(ALL) == list(forked.map(abs, ALL))
    # Long enough to be looked at.
    naps = [0.1 if number % 100 == 99 else 0.0 for number in range(300)]
    assert list(enumerate(naps)) == list(forked.map(nap, enumerate(naps)))
    division = forked._pool.division
    wait_until(lambda: not division._spans and not division._is_watching)


@pytest.mark.slow
def test_any_map_has_its_results_in_order(pool: WebWorkerExecutor) -> None:
    """
    Wherever the long ones are; each call is made once.
    """
    for seed in range(10):
        chance = random.Random(seed)
        # Long enough to be cut, twice in a row perhaps.
        naps = [chance.choice([0.06, 0.12]) if chance.random() < 0.01 else 0.0 for _ in range(400)]
        assert list(enumerate(naps)) == list(pool.map(nap, enumerate(naps)))


def nap(item: tuple[int, float]) -> tuple[int, float]:
    """Take so long."""
    if item[1]:
        time.sleep(item[1])  # the work of the task
    return item


def test_a_part_is_a_call_of_the_same() -> None:
    """
    With the same name and definition, and nothing that goes along.
    """
    call = Call(1).pack(sum, ((1, 2, 3),), {})
    part = call.part(2, 1, 3)
    assert (part.fn_name, part.definition) == (call.fn_name, call.definition)
    assert (2, (), True, 2) == (part.ident, part.fds, part.is_packed, part.n_calls)
