"""`loop.run_in_executor` and all that is built upon it take our executor."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.dropin.tasks import die, double, throw
from webworker_executor import WebWorkerExecutor, WorkerCrashedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.script import ScriptRunner
    from webworker_executor import WebWorkerExecutor as Pool

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

REQUEST = contextvars.ContextVar("REQUEST", default="none")


async def _double_later(number: int) -> int:
    """Return the number twice, or raise what is asked for."""
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError(number)
    return 2 * number


async def _request() -> str:
    await asyncio.sleep(0)
    return REQUEST.get()


def _run_with_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    uvloop: Any = importlib.import_module("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@pytest.fixture(scope="module", autouse=True)
def _open_uvloop() -> None:
    """libuv keeps the pipe of its first loop for ever: no leak of a test."""
    if importlib.util.find_spec("uvloop"):
        _run_with_uvloop(asyncio.sleep(0))


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on each kind of event loop."""
    if request.param == "asyncio":
        return asyncio.run
    pytest.importorskip("uvloop")
    return _run_with_uvloop


def test_run_in_executor(pool: Pool, run: Run) -> None:
    """A result is awaited."""

    async def main() -> int:
        return await asyncio.get_running_loop().run_in_executor(pool, double, 21)

    assert 42 == run(main())


def test_gather_of_thousands(pool: Pool, run: Run) -> None:
    """Thousands of calls at once come back in order."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(pool, double, n) for n in range(3000)))

    assert list(range(0, 6000, 2)) == run(main())


def test_errors_are_raised(pool: Pool, run: Run) -> None:
    """An exception is raised from the await, and so is a crash."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(KeyError, match="missing"):
            await loop.run_in_executor(pool, throw, KeyError("missing"))
        with pytest.raises(WorkerCrashedError):
            await loop.run_in_executor(pool, die)
        assert 4 == await loop.run_in_executor(pool, double, 2)

    run(main())


def test_cancelling_what_is_pending(pool: Pool, run: Run, gate: Gate) -> None:
    """A cancelled await cancels the call that has not begun."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        wait = functools.partial(pass_gate, gate.path)
        running = [loop.run_in_executor(pool, wait, n) for n in range(2)]
        await loop.run_in_executor(None, gate.wait_for_begun, 2)
        queued = [loop.run_in_executor(pool, wait, n) for n in range(20)]
        for future in queued:
            future.cancel()
        gate.open()
        await asyncio.gather(*queued, return_exceptions=True)
        assert all(future.cancelled() for future in queued)
        return await asyncio.gather(*running)

    assert [0, 1] == run(main())
    assert 2 == len(gate.wait_for_begun(2))


def test_wait_for_times_out(pool: Pool, run: Run, gate: Gate) -> None:
    """A time-out ends the waiting, and the executor goes on."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                loop.run_in_executor(pool, pass_gate, gate.path, None), timeout=0.02
            )
        gate.open()
        return await loop.run_in_executor(pool, double, 4)

    assert 8 == run(main())


def test_wrap_future(pool: Pool, run: Run) -> None:
    """`asyncio.wrap_future` takes our futures."""

    async def main() -> int:
        return await asyncio.wrap_future(pool.submit(double, 3))

    assert 6 == run(main())


def test_a_loop_that_closed_meanwhile(pool: Pool, run: Run, gate: Gate) -> None:
    """A result that comes when its loop is closed disturbs nobody."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(pool, pass_gate, gate.path, None)
        await loop.run_in_executor(None, gate.wait_for_begun, 1)
        future.cancel()

    run(main())
    gate.open()
    assert 8 == pool.submit(double, 4).result()


def test_what_is_async_runs_in_the_worker(pool: Pool) -> None:
    """A coroutine function is a task as any other: by itself, in a map, on terms, in a context."""
    assert 42 == pool.submit(_double_later, 21).result()
    with pytest.raises(ValueError, match="-1"):
        pool.submit(_double_later, -1).result()
    expected = [2 * number for number in range(200)]
    assert expected == list(pool.map(_double_later, range(200)))
    assert expected == list(pool.map(_double_later, range(200), chunksize=50))
    assert 42 == pool.options(retries=1, retry_on=KeyError).submit(_double_later, 21).result()
    token = REQUEST.set("carried")
    try:
        assert "carried" == pool.submit(_request).result()
    finally:
        REQUEST.reset(token)


def test_async_with_leaves_the_loop_free(run: Run, gate: Gate) -> None:
    """The end of the block waits for tasks, and the loop goes on: here it opens their gate."""

    async def main() -> int:
        async def open_gate() -> None:
            await asyncio.to_thread(gate.wait_for_begun, 1)
            gate.open()

        async with WebWorkerExecutor(1) as executor:
            future = executor.submit(pass_gate, gate.path, 42)
            opening = asyncio.create_task(open_gate())
        await opening
        with pytest.raises(RuntimeError, match="after shutdown"):
            executor.submit(double, 1)
        value: int = future.result(0)
        return value

    assert 42 == run(main())


INTERRUPTED = """
import asyncio, os, signal, time
from webworker_executor import WebWorkerExecutor

async def main():
    async with WebWorkerExecutor(1) as executor:
        await asyncio.wrap_future(executor.submit(abs, -1))
        executor.submit(time.sleep, 600)
        asyncio.get_running_loop().call_later(0, os.kill, os.getpid(), signal.SIGINT)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_the_wait_of_async_with(run_script: ScriptRunner) -> None:
    """What runs is ended with it, as by that of a plain block."""
    assert "interrupted\n" == run_script(INTERRUPTED).stdout
