"""
The running task from inside: who it is, what it may say, and when it is over.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.listening import SECONDS
from tests.link.inbox import Inbox
from tests.pool import talking
from webworker_executor import TaskAborted, WebWorkerExecutor, Worker, current_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.web.launchers import LauncherName


@pytest.fixture
def pool(launcher: LauncherName) -> Iterator[WebWorkerExecutor]:
    """
    Make a pool of one worker.
    """
    with WebWorkerExecutor(1, launcher=launcher) as executor:
        yield executor


def test_outside_a_task_there_is_none() -> None:
    """
    The error says where to call it.
    """
    with pytest.raises(RuntimeError, match="inside a function that was submitted"):
        current_task()


def test_between_tasks_there_is_none() -> None:
    """
    An initializer is no task.
    """
    with WebWorkerExecutor(1, initializer=_look) as pool:
        assert "RuntimeError" == pool.submit(talking.state, "looked").result(10.0)


def _look() -> None:
    from webworker_executor import scope

    try:
        current_task()
    except RuntimeError as error:
        scope.worker_state["looked"] = type(error).__name__


def test_in_a_script_there_is_none() -> None:
    """
    Not in its own text, in a handler, in a timer, nor in a thread that it starts; it goes on.
    """
    source = """
import threading
from webworker_executor import current_task
def look(event=None):
    try:
        current_task().post_message(5)
    except RuntimeError as error:
        post_message(str(error)[:30])
look()
onmessage = look
set_timeout(look, 0)
thread = threading.Thread(target=look)
thread.start()
thread.join()
"""
    with Worker(source=source) as worker:
        worker.post_message(None)
        assert ["current_task() was called wher"] * 4 == [
            worker.receive(SECONDS).data for _ in range(4)
        ]


def test_threads_and_asyncio_see_their_task(pool: WebWorkerExecutor) -> None:
    """
    One after the other each gets its own.
    """
    for _ in range(3):
        first, *others = pool.submit(talking.tasks_seen_elsewhere).result(10.0)
        assert [first] * 3 == others


def test_numbers_are_never_used_again(pool: WebWorkerExecutor) -> None:
    """
    Each task has its own.
    """
    numbers = [pool.submit(talking.post).result(10.0) for _ in range(5)]
    assert sorted(set(numbers)) == numbers


def test_nothing_follows_the_result(pool: WebWorkerExecutor) -> None:
    """
    A thread that outlives its task cannot post for it, nor for the task after it.
    """
    pool.submit(talking.outlive).result(10.0)
    future = pool.submit(talking.hear_of_outlived)
    (text,) = future.result(10.0)
    assert "has ended, and nothing of it can follow its result" in text
    assert [] == list(future.messages())


def test_an_abort_comes_on_the_loop_of_a_task_that_listens(pool: WebWorkerExecutor) -> None:
    """
    So that what runs there can be cancelled, and the worker goes on.
    """
    pid = pool.submit(os.getpid).result(10.0)
    future = pool.submit(talking.sleep_until)
    future.messages().receive(10.0)
    future.abort("enough")
    with pytest.raises(TaskAborted):
        future.result(10.0)
    assert pid == pool.submit(os.getpid).result(10.0)


def test_a_task_may_listen_on_its_own_loop(pool: WebWorkerExecutor) -> None:
    """
    By ``areceive`` and by ``onmessage``.
    """
    future = pool.submit(talking.on_a_loop)
    future.post_message("first")
    future.post_message("second")
    assert ["first", "second"] == future.result(10.0)


def test_receive_keeps_its_time(pool: WebWorkerExecutor) -> None:
    """
    A wait with a time-out ends, and one without waiting returns at once.
    """
    assert ["TimeoutError", None] == pool.submit(_receive_nothing).result(10.0)


def _receive_nothing() -> list[object]:
    try:
        current_task().receive(0.01)
    except TimeoutError as error:
        return [type(error).__name__, current_task().receive_nowait()]
    return []


def look_and_receive(timeout: float | None) -> str:
    """
    Look at the signal, and wait for a message that does not come.
    """
    assert not current_task().signal.aborted
    return current_task().receive(timeout).data  # type: ignore[no-any-return]  # a message is anything


@pytest.mark.parametrize("timeout", [None, 60.0])
def test_the_wait_for_a_message_ends_with_the_time(
    pool: WebWorkerExecutor, timeout: float | None
) -> None:
    """
    In a task that has looked at its signal as in one that has not.
    """
    late = pool.options(soft_timeout=0.1).submit(look_and_receive, timeout)
    with pytest.raises(TimeoutError, match="soft_timeout"):
        late.result(10.0)
    in_time = pool.options(soft_timeout=60.0).submit(look_and_receive, timeout)
    in_time.post_message("something")
    assert "something" == in_time.result(10.0)


def look_and_areceive() -> str:
    """
    The same on a loop that the task runs.
    """

    async def receive() -> str:
        event = await current_task().areceive()
        return event.data  # type: ignore[no-any-return]  # a message is anything

    assert not current_task().signal.aborted
    return asyncio.run(receive())


def look_and_drain() -> None:
    """
    Look at the signal, and post more than anybody takes.
    """
    assert not current_task().signal.aborted
    for _ in range(40):
        current_task().post_message(bytes(100_000))
    current_task().drain()


@pytest.mark.parametrize("wait", [look_and_areceive, look_and_drain])
def test_any_wait_ends_with_the_time(pool: WebWorkerExecutor, wait: Callable[[], object]) -> None:
    """
    Whatever a task waits for, it is told.
    """
    late = pool.options(soft_timeout=0.1).submit(wait)
    with pytest.raises(TimeoutError, match="soft_timeout"):
        late.result(10.0)


def test_a_stream_that_nobody_reads_ends_with_its_time(pool: WebWorkerExecutor) -> None:
    """
    What rests because nobody takes its items is told, too.
    """
    stream = pool.options(soft_timeout=0.1, window=1).stream(look_and_count)
    with pytest.raises(TimeoutError, match="soft_timeout"):
        stream.future.result(10.0)


def look_and_count() -> Iterator[int]:
    """
    Look at the signal, and count.
    """
    assert not current_task().signal.aborted
    yield from range(100)


def test_a_report_that_does_not_pack_fails_nothing(
    pool: WebWorkerExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    The last one of a task is written to standard error instead.
    """
    assert "done" == pool.submit(_report_nonsense).result(10.0)
    assert 1 == pool.submit(abs, -1).result(10.0)
    pool.shutdown()
    assert "cannot pickle" in capfd.readouterr().err


def _report_nonsense() -> str:
    import threading

    task = current_task()
    task.report(1)
    task.report(threading.Lock())  # type: ignore[arg-type]  # what is tested
    return "done"


def test_a_look_at_the_signal_that_is_broken_off_counts() -> None:
    """
    Wherever a handler raises, the next look has the task asked, and not ended with its worker.
    """
    step = 0
    with WebWorkerExecutor(1, launcher="fork") as forked:
        while True:
            future = forked.submit(talking.look_at_signal_struck, step)
            is_struck = future.messages().receive(10.0).data
            assert future.abort(grace=10.0)
            assert forked.submit(talking.state, "aborted").result(20.0) is True, step
            if not is_struck:
                break
            step += 1
    assert step > 10


def test_a_report_that_is_broken_off_leaves_at_the_end() -> None:
    """
    Wherever a handler raises once it is noted.
    """
    step = 1
    with WebWorkerExecutor(1, launcher="fork") as forked:
        while True:
            reports = Inbox[Any]()
            future = forked.submit(talking.report_struck, step)
            future.onprogress = reports
            future.post_message("go")
            is_struck = future.result(10.0)
            assert 1 == reports.get(10.0).loaded, step
            if not is_struck:
                break
            step += 1
    assert step > 10


def test_the_repr_tells_whether_it_is_over(pool: WebWorkerExecutor) -> None:
    """
    While it runs, the number is all.
    """
    text = pool.submit(_repr).result(10.0)
    assert text.startswith("<RunningTask #")
    assert "ended" not in text


def _repr() -> str:
    return repr(current_task())
