"""
A storm: many tasks of every kind at once, each of whose results is known beforehand.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from concurrent.futures import CancelledError, as_completed, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webworker_executor import TaskAborted, WebWorkerExecutor, WorkerCrashedError, current_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from webworker_executor.web.launchers import LauncherName

    Check = Callable[[WebWorkerExecutor, random.Random, int], int]

TIMEOUT = 60.0


def same(value: int) -> int:
    """Return the value."""
    return value


def fail(value: int) -> int:
    """Raise the value."""
    try:
        raise KeyError(value)
    except KeyError as error:
        raise ValueError(value) from error


def work(value: int) -> int:
    """Work for about a millisecond."""
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass
    return value


def linger(value: int) -> int:
    """Return what is positive at once, and of anything else the opposite after a while."""
    if value <= 0:
        time.sleep(0.06)  # longer than a chunk of a map is to run
    return abs(value)


def filled(value: int) -> bytearray:
    """Return 200,000 bytes of a value."""
    return bytearray([value % 256]) * 200_000


def echo(data: Any) -> Any:
    """Return what came."""
    return data


def kill_me() -> None:
    """Die as by the out-of-memory killer."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def die_first(path: Path, value: int) -> int:
    """Die the first time, and return the value the second."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        path.unlink()
        return value
    kill_me()
    return -1


def converse(value: int) -> int:
    """Say the value, and return what is answered."""
    task = current_task()
    task.post_message(value)
    return int(task.receive(TIMEOUT).data)


def count_up(count: int) -> Iterator[int]:
    """Give numbers, one after the other."""
    yield from range(count)


def check(future: Future[Any], task: Callable[..., Any], value: int) -> None:
    """Compare an outcome with what the task must give."""
    if task is fail:
        error = future.exception(TIMEOUT)
        assert isinstance(error, ValueError), error
        assert (value,) == error.args
        assert isinstance(error.__cause__, KeyError), error.__cause__
    else:
        assert value == future.result(TIMEOUT)


def one_by_one(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Wait for each before the next is submitted."""
    for value in range(count // 20):
        task = chance.choice([same, same, fail])
        check(pool.submit(task, value), task, value)
    return count // 20


def in_bulk(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Submit all and look then."""
    tasks = [chance.choice([same, same, same, fail]) for _ in range(count)]
    futures = [pool.submit(task, value) for value, task in enumerate(tasks)]
    for value, (future, task) in enumerate(zip(futures, tasks, strict=True)):
        check(future, task, value)
    return count


def as_they_come(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Take them in the order of their end, each once."""
    count //= 10
    values: dict[Future[Any], int] = {pool.submit(same, value): value for value in range(count)}
    seen = 0
    for future in as_completed(values, TIMEOUT):
        check(future, same, values[future])
        seen += 1
    assert count == seen
    return count


def with_callbacks(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Hear of each by a callback, each once."""
    count //= 4
    called: list[int] = []
    all_called = threading.Event()

    def note(future: Future[Any]) -> None:
        called.append(future.result())
        if len(called) == count:
            all_called.set()

    for value in range(count):
        pool.submit(same, value).add_done_callback(note)
    assert all_called.wait(TIMEOUT)
    assert list(range(count)) == sorted(called)
    return count


def mapped(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Map in chunks of the pool's choice and of ours."""
    for chunksize in (None, 1, 7):
        assert list(range(count)) == list(pool.map(same, range(count), chunksize=chunksize))
    return 3 * count


def mapped_unevenly(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Map what is cut and given to others on the way; and leave off in the middle of it."""
    slow = set(chance.sample(range(count), 6))
    values = [-value if value in slow else value for value in range(count)]
    assert list(range(count)) == list(pool.map(linger, values))
    results = pool.map(linger, values)
    assert list(range(count // 2)) == [next(results) for _ in range(count // 2)]
    return count + count // 2


def awaited(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Gather on an event loop."""
    # Not above: workers import this module for its tasks, and each that dies is replaced.
    import asyncio

    count //= 4

    async def gather() -> list[int]:
        loop = asyncio.get_running_loop()
        calls = (loop.run_in_executor(pool, same, value) for value in range(count))
        return list(await asyncio.gather(*calls))

    assert list(range(count)) == asyncio.run(gather())
    return count


def cancelled(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Cancel some: those that could be never ran, the others have their results."""
    futures = [pool.submit(same, value) for value in range(count)]
    stopped = {value for value in range(0, count, 3) if futures[value].cancel()}
    wait(futures, TIMEOUT)
    for value, future in enumerate(futures):
        if value in stopped:
            assert future.cancelled()
        else:
            check(future, same, value)
    return count


def beside_long_ones(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Have short tasks given back by workers that run long ones."""
    count //= 10
    tasks = [chance.choice([same] * 9 + [work]) for _ in range(count)]
    futures = [pool.submit(task, value) for value, task in enumerate(tasks)]
    for value, (future, task) in enumerate(zip(futures, tasks, strict=True)):
        check(future, task, value)
    return count


def large(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Send and fetch what is larger than a socket's buffer."""
    count = max(1, count // 200)
    for value, data in enumerate(pool.map(filled, range(count))):
        assert filled(value) == data
    for value, data in enumerate(pool.map(echo, map(filled, range(count)))):
        assert filled(value) == data
    return 2 * count


def with_crashes(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Let workers die in between: each death costs the task that it ran."""
    count //= 10
    futures: list[Future[Any]] = []
    deaths: list[Future[Any]] = []
    for value in range(count):
        futures.append(pool.submit(same, value))
        if chance.random() < 3 / count:
            deaths.append(pool.submit(kill_me))
    for value, future in enumerate(futures):
        check(future, same, value)
    for death in deaths:
        assert isinstance(death.exception(TIMEOUT), WorkerCrashedError)
    return count + len(deaths)


def with_aborts(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Abort one that waits or runs: no other feels it."""
    count //= 10
    futures = [pool.submit(same, value) for value in range(count)]
    victim = pool.submit(time.sleep, 60.0)
    behind = [pool.submit(same, value) for value in range(count)]
    victim.abort("storm", grace=0.1)
    try:
        raise AssertionError(victim.result(TIMEOUT))
    except (TaskAborted, CancelledError):
        pass
    for many in (futures, behind):
        for value, future in enumerate(many):
            check(future, same, value)
    return 2 * count + 1


def with_time_outs(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Let some take too long: no other feels it."""
    count //= 10
    futures = [pool.submit(same, value) for value in range(count)]
    late = pool.options(timeout=0.05).submit(time.sleep, 60.0)
    behind = [pool.submit(same, value) for value in range(count)]
    assert isinstance(late.exception(TIMEOUT), TimeoutError)
    for many in (futures, behind):
        for value, future in enumerate(many):
            check(future, same, value)
    return 2 * count + 1


def with_retries(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Have what a death cost done once more."""
    patient = pool.options(retries=3, retry_on=(WorkerCrashedError,))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, str(value)) for value in range(2)]
        futures = [patient.submit(die_first, path, value) for value, path in enumerate(paths)]
        for value, future in enumerate(futures):
            check(future, same, value)
    return len(futures)


def conversing(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Answer what running tasks say."""
    count //= 20
    for value in range(count):
        future = pool.submit(converse, value)
        said = future.messages().receive(TIMEOUT).data
        future.post_message(said + 1)
        check(future, same, value + 1)
    return count


def streamed(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Take what a generator gives, to its end or not."""
    assert list(range(count)) == list(pool.stream(count_up, count))
    with pool.stream(count_up, 10**9) as stream:
        assert [0, 1, 2] == [next(stream) for _ in range(3)]
    return 2


def from_threads(pool: WebWorkerExecutor, chance: random.Random, count: int) -> int:
    """Submit and wait from many threads at once."""
    count //= 40
    errors: list[BaseException] = []

    def run() -> None:
        try:
            for value in range(count):
                check(pool.submit(same, value), same, value)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT)
    assert [] == errors
    return 8 * count


CHECKS: list[Check] = [
    one_by_one,
    in_bulk,
    as_they_come,
    with_callbacks,
    mapped,
    mapped_unevenly,
    awaited,
    cancelled,
    beside_long_ones,
    large,
    with_crashes,
    with_aborts,
    with_time_outs,
    with_retries,
    conversing,
    streamed,
    from_threads,
]


def rage(launcher: LauncherName, n_tasks: int, seed: int) -> int:
    """
    Run all kinds, two at a time, over and over.

    Args:
        launcher: How workers start.
        n_tasks: How many tasks to run at least.
        seed: Of the choices.

    Returns:
        How many were run and checked.
    """
    chance = random.Random(seed)
    done = 0
    while done < n_tasks:
        done += squall(launcher, chance)
    return done


def squall(
    launcher: LauncherName, chance: random.Random, make: type[WebWorkerExecutor] = WebWorkerExecutor
) -> int:
    """
    Run some kinds, two at a time, on an executor of its own, whose workers may be replaced.

    Args:
        launcher: How workers start.
        chance: What decides which.
        make: The class of the executor.

    Returns:
        How many tasks were run and checked.
    """
    n_workers = chance.choice([1, 2, 3])
    # The replacement of a worker that does not fork takes time: it may come when much is done.
    n_tasks = None if launcher == "fork" else chance.choice([None, 500])
    with make(n_workers, launcher=launcher, max_tasks_per_child=n_tasks) as pool:
        return sum(sum(_together(pool, chance, chance.sample(CHECKS, 2))) for _ in range(6))


def _together(pool: WebWorkerExecutor, chance: random.Random, pair: list[Check]) -> list[int]:
    counts: list[int] = []
    errors: list[BaseException] = []
    seeds = [chance.random() for _ in pair]

    def run(kind: Check, seed: float) -> None:
        try:
            counts.append(kind(pool, random.Random(seed), 2000))
        except BaseException as error:
            error.add_note(f"in {kind.__name__}, beside {[each.__name__ for each in pair]}")
            errors.append(error)

    other = threading.Thread(target=run, args=(pair[1], seeds[1]))
    other.start()
    run(pair[0], seeds[0])
    other.join(4 * TIMEOUT)
    assert not other.is_alive()
    if errors:
        raise errors[0]
    return counts
