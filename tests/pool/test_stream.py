"""
Streams give what a generator yields, at the consumer's pace, and always come to an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import os
import signal
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.dropin.gate import pass_gate
from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from tests.pool import talking
from webworker_executor import AbortController, TaskAborted, WebWorkerExecutor, WorkerCrashedError
from webworker_executor.pool.stream import Stream

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from webworker_executor import WorkerFuture
    from webworker_executor.web.launchers import LauncherName


def test_items_come_in_order(pool: WebWorkerExecutor) -> None:
    """
    Many more than the window.
    """
    assert list(range(1000)) == list(pool.stream(talking.count, 1000))


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_generator_rests_when_nobody_takes(forked: WebWorkerExecutor, window: int) -> None:
    """
    It has made no more than a window ahead of what was taken.
    """
    with forked.options(window=window).stream(talking.count, 10**9) as stream:
        assert [0, 1, 2] == [next(stream) for _ in range(3)]
    stream.future.result(10.0)
    assert 3 <= forked.submit(talking.state, "made").result(10.0) <= 3 + window


def test_an_early_stop_closes_the_generator(launcher: LauncherName) -> None:
    """
    By ``close``, at the end of a ``with``, or because nobody keeps the stream.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        stream = pool.stream(talking.count, 10**9)
        assert 0 == next(stream)
        stream.close()
        stream.close()
        assert [] == list(stream)
        stream.future.result(10.0)
        assert "closed" == pool.submit(talking.state, "ended").result(10.0)
        stream = pool.stream(talking.count, 10**9)
        future = stream.future
        assert 0 == next(stream)
        del stream
        gc.collect()
        assert future.result(10.0) is None


def test_a_stream_that_has_not_begun_is_cancelled(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Its generator never runs.
    """
    first = forked.submit(pass_gate, gate.path, None)
    gate.wait_for_begun(1)
    stream = forked.stream(talking.count, 5)
    stream.close()
    gate.open()
    first.result(10.0)
    assert stream.future.cancelled()
    assert forked.submit(talking.state, "made").result(10.0) is None


def test_what_a_generator_raises_comes_after_its_items(forked: WebWorkerExecutor) -> None:
    """
    With the frames of the worker.
    """
    stream = forked.stream(talking.count, 10, fail_at=3)
    assert [0, 1, 2] == [next(stream) for _ in range(3)]
    with pytest.raises(ValueError, match="no 3") as caught:
        next(stream)
    assert "count" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert [] == list(stream)


def test_the_death_of_the_worker_is_an_error(pool: WebWorkerExecutor) -> None:
    """
    After the items that it sent, and never a wait.
    """
    stream = pool.stream(talking.yield_and_die)
    assert 1 == next(stream)
    with pytest.raises(WorkerCrashedError):
        next(stream)


def test_a_worker_killed_while_it_rests_is_an_error(forked: WebWorkerExecutor) -> None:
    """
    The generator was waiting for the consumer.
    """
    pid = forked.submit(talking.pid).result(10.0)
    stream = forked.options(window=1).stream(talking.count, 10**9)
    assert 0 == next(stream)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError, match=r"while running tests\.pool\.talking\.count\."):
        list(stream)


def test_a_resting_generator_hears_of_an_abort(forked: WebWorkerExecutor) -> None:
    """
    It is closed, and its worker goes on.
    """
    pid = forked.submit(talking.pid).result(10.0)
    stream = forked.options(window=1).stream(talking.count, 10**9)
    assert 0 == next(stream)
    wait_until(lambda: stream.future.messages().heeds)
    stream.future.abort(grace=20.0)
    with pytest.raises(TaskAborted):
        list(stream)
    assert pid == forked.submit(talking.pid).result(10.0)
    assert "closed" == forked.submit(talking.state, "ended").result(10.0)


def test_a_function_that_yields_nothing_iterable_fails(forked: WebWorkerExecutor) -> None:
    """
    With Python's own words.
    """
    with pytest.raises(TypeError, match="not iterable"):
        list(forked.stream(abs, -1))  # type: ignore[arg-type]  # what is no iterable


def test_a_generator_that_was_made_here_is_refused(forked: WebWorkerExecutor) -> None:
    """
    Its function is wanted, and its arguments.
    """
    for executor in (forked, forked.options(window=2)):
        with pytest.raises(TypeError, match=r"^stream\(\) takes a function .*, not generator;"):
            executor.stream(number for number in range(3))  # type: ignore[arg-type]  # the mistake


def test_a_generator_that_is_submitted_is_told_of_streams(forked: WebWorkerExecutor) -> None:
    """
    What the function has made cannot come back; the note says what does.
    """
    exc = forked.submit(talking.count, 3).exception(10.0)
    assert isinstance(exc, TypeError)
    assert "cannot pickle 'generator' object" == str(exc)
    (note,) = exc.__notes__
    assert note.startswith("result cannot be sent. Call executor.stream() instead")


def test_streams_are_asynchronous_too(pool: WebWorkerExecutor) -> None:
    """
    Two side by side on one loop, and one that is left early.
    """

    async def main() -> tuple[list[int], list[int], int]:
        async def collect(stop: int) -> list[int]:
            return [number async for number in pool.stream(talking.count, stop)]

        both = await asyncio.gather(collect(100), collect(50))
        async with pool.stream(talking.count, 10**9) as stream:
            async for number in stream:
                if number == 20:
                    break
        return (*both, number)

    result = asyncio.run(asyncio.wait_for(main(), 20.0))
    assert (list(range(100)), list(range(50)), 20) == result


def test_asynchronous_generators(pool: WebWorkerExecutor) -> None:
    """
    They may await, and end as others do: with their items, an error, or an early stop.
    """
    assert list(range(100)) == list(pool.stream(talking.count_async, 100))
    with pool.stream(talking.count_async, 3, fails=True) as failing:
        assert [0, 1, 2] == [next(failing) for _ in range(3)]
        with pytest.raises(ZeroDivisionError):
            next(failing)
    with pool.options(worker=0, window=1).stream(talking.count_async, 10**9) as stream:
        assert [0, 1] == [next(stream), next(stream)]
    closed = pool.options(worker=0).submit(talking.state, "closed").result(10.0)
    assert closed == "GeneratorExit"


def test_an_asynchronous_generator_is_cancelled_by_an_abort(forked: WebWorkerExecutor) -> None:
    """
    As a coroutine is, and its worker goes on.
    """
    stream = forked.stream(talking.yield_and_rest)
    pid = next(stream)
    stream.future.abort("enough", grace=10.0)
    with pytest.raises(TaskAborted, match="enough"):
        next(stream)
    assert "cancelled" == forked.submit(talking.state, "closed").result(10.0)
    assert pid == forked.submit(os.getpid).result(10.0)


def test_an_asynchronous_generator_is_cancelled_when_its_time_is_over(
    forked: WebWorkerExecutor,
) -> None:
    """
    As a coroutine is: what it makes of that is the outcome, and else the time that is over.
    """
    stream = forked.options(soft_timeout=60.0).stream(talking.yield_and_rest, is_late=True)
    next(stream)
    with pytest.raises(TimeoutError, match="soft_timeout"):
        next(stream)
    assert "cancelled" == forked.submit(talking.state, "closed").result(10.0)


def test_what_ends_the_loop_of_an_asynchronous_generator(forked: WebWorkerExecutor) -> None:
    """
    It is the stream's error, and the generator, which it was not raised in, is closed.
    """
    stream = forked.stream(talking.yield_and_rest, is_struck=True)
    next(stream)
    with pytest.raises(SystemExit, match="struck"):
        next(stream)
    assert "cancelled" == forked.submit(talking.state, "closed").result(10.0)


def test_an_asynchronous_stream_tells_of_a_crash(forked: WebWorkerExecutor) -> None:
    """
    As the other one does.
    """

    async def main() -> None:
        async for number in forked.stream(talking.yield_and_die):
            assert 1 == number

    with pytest.raises(WorkerCrashedError):
        asyncio.run(asyncio.wait_for(main(), 10.0))


def test_large_items_flow(pool: WebWorkerExecutor) -> None:
    """
    Buffers beyond what the link holds come whole.
    """
    sizes = [len(item) for item in pool.stream(_buffers, 5)]
    assert [1_000_000] * 5 == sizes


def _buffers(count: int) -> list[bytearray]:
    return [bytearray(1_000_000) for _ in range(count)]


@pytest.mark.parametrize("n_taken", [0, 1])
def test_an_executor_that_ends_does_not_wait_for_readers(n_taken: int) -> None:
    """
    A stream that was not read to its end is stopped, and says so after what it has.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        stream = pool.stream(talking.count, 10**9)
        taken = [next(stream) for _ in range(n_taken)]
        assert list(range(n_taken)) == taken
    with pytest.raises(TaskAborted, match="read it inside the executor's with block"):
        list(stream)


def test_a_stream_that_rests_before_it_is_made_is_stopped_as_well() -> None:
    """
    Its worker may have used up the window before the program knows that it is a stream.
    """

    def submit(pool: WebWorkerExecutor, *args: Any) -> WorkerFuture[Any]:
        future = pool.submit(*args)
        wait_until(lambda: future.messages().heeds)
        return future

    with WebWorkerExecutor(1) as pool:
        stream = Stream(functools.partial(submit, pool), talking.count, (10**9,), {})
    with pytest.raises(TaskAborted, match="read it inside the executor's with block"):
        list(stream)


def test_a_stream_that_nobody_has_does_not_keep_its_executor() -> None:
    """
    Ctrl-C came before `stream` had returned, and the program went on.
    """

    def submit(pool: WebWorkerExecutor, *args: Any) -> NoReturn:
        future = pool.submit(*args)
        futures.append(future)
        wait_until(lambda: getattr(future.__dict__.get("_conversation"), "heeds", False))
        raise KeyboardInterrupt

    futures: list[WorkerFuture[Any]] = []
    with WebWorkerExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            Stream(functools.partial(submit, pool), talking.count, (10**9,), {})
        pool.shutdown()
    assert isinstance(futures[0].exception(0), TaskAborted)


@pytest.mark.slow
@pytest.mark.parametrize("is_view", [False, True])
def test_a_stream_whose_making_is_broken_off_is_closed(is_view: bool) -> None:
    """
    A signal handler may raise when its task has been handed over, and nobody has it then.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        face = pool.options(signal=AbortController().signal) if is_view else pool
        for step in itertools.count():
            try:
                with interrupted_at(step, _strike):
                    stream = face.stream(talking.count, 10**9)
            except KeyboardInterrupt:
                # What waits behind the stream has its turn: its generator has been closed.
                assert 1 == pool.submit(abs, -1).result(20.0)
            else:
                stream.close()
                break
    assert 50 < step


@pytest.mark.slow
def test_a_stream_whose_closing_is_broken_off_is_closed_when_it_is_dropped() -> None:
    """
    What drops it does not know how far a signal handler has let it come.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        for step in itertools.count():
            stream = pool.stream(talking.count, 10**9)
            assert 0 == next(stream)
            is_struck = True
            with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, _strike):
                stream.close()
                is_struck = False
            del stream
            assert 1 == pool.submit(abs, -1).result(20.0)
            if not is_struck:
                break
    assert 10 < step


@pytest.mark.slow
def test_a_stream_whose_reading_is_broken_off_goes_on_or_is_closed() -> None:
    """
    The item that a signal handler has taken along is not the last one that is made.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        for step in itertools.count():
            stream = pool.options(window=1).stream(talking.count, 3)
            try:
                with interrupted_at(step, _strike):
                    assert [0, 1] == [next(stream), next(stream)]
            except KeyboardInterrupt:
                assert list(stream) in ([], [2], [1, 2], [0, 1, 2])
            else:
                break
    assert 10 < step


def test_no_signal_handler_comes_between_the_drop_of_a_stream_and_its_end() -> None:
    """
    What it raised would be lost, and the generator would rest for ever.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        stream = pool.stream(talking.count, 10**9)
        assert 0 == next(stream)
        with interrupted_at(0, _strike):
            del stream
        assert 1 == pool.submit(abs, -1).result(20.0)


def _strike() -> None:
    raise KeyboardInterrupt


def test_the_repr_tells_the_state(forked: WebWorkerExecutor) -> None:
    """
    Open or closed.
    """
    stream = forked.stream(talking.count, 1)
    assert repr(stream).startswith("<Stream open of <WorkerFuture")
    assert [0] == list(stream)
    assert repr(stream).startswith("<Stream closed of <WorkerFuture")
