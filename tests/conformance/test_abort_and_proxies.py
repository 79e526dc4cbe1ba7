"""
Abort signals and proxies behave as the Web and Comlink have it; the numbers are the cases' own.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import wait_until
from tests.pool import talking
from webworker_executor import (
    AbortController,
    AbortSignal,
    MessageChannel,
    PortClosedError,
    WebWorkerExecutor,
    Worker,
    construct,
    expose,
    fetch,
    proxy,
    release,
    wrap,
)

if TYPE_CHECKING:
    from webworker_executor.web.launchers import LauncherName

pytestmark = pytest.mark.conformance


def test_case_149_an_abort_happens_once() -> None:
    """
    ``abort`` fires synchronously and once; the first reason stays; late listeners never run.
    """
    controller = AbortController()
    heard: list[str] = []
    controller.signal.add_event_listener("abort", lambda event: heard.append(event.type))
    controller.abort("first")
    assert ["abort"] == heard
    controller.abort("second")
    controller.signal.add_event_listener("abort", lambda event: heard.append("late"))
    assert (["abort"], "first") == (heard, controller.signal.reason)
    other = AbortController()
    either = AbortSignal.any([other.signal, controller.signal])
    assert "first" == either.reason
    timed = AbortSignal.timeout(0.01)
    assert timed.wait(10.0)
    assert isinstance(timed.reason, TimeoutError)


def test_case_150_a_signal_reaches_queued_and_running_tasks(launcher: LauncherName) -> None:
    """
    A queued task never runs; a running one sees the abort, and its worker is used again.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        controller = AbortController()
        view = pool.options(signal=controller.signal)
        running, queued = view.submit(talking.heed), view.submit(talking.post, "never")
        pid = running.messages().receive(10.0).data
        controller.abort("enough")
        assert ["enough"] * 2 == [
            getattr(future.exception(10.0), "reason", None) for future in (running, queued)
        ]
        assert [] == list(queued.messages())
        assert pid == pool.submit(talking.pid).result(10.0)


@pytest.mark.parametrize("end", ["kill", "release"])
def test_case_151_outstanding_calls_fail_within_a_second(launcher: LauncherName, end: str) -> None:
    """
    Whether the worker dies or the proxy is released.
    """
    never = threading.Event()
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        channel = MessageChannel()
        pool.submit(talking.serve, channel.port2, 0).result(20.0)
        pid = pool.workers[0].pid
        assert pid is not None
        counter: Any = wrap(channel.port1)
        assert 1 == counter.add().result(10.0)
        calls = [counter.call(proxy(lambda _: never.wait(20.0)), 1), counter.add(), counter.add()]
        if end == "kill":
            os.kill(pid, signal.SIGKILL)
        else:
            release(counter)
        try:
            wait_until(lambda: all(call.done() for call in calls), 1.0)
        finally:
            never.set()
        for call in calls:
            with pytest.raises(PortClosedError):
                call.result(0)


@pytest.mark.parametrize("name", ["call", "call_later"])
def test_case_151_outstanding_calls_fail_as_their_worker_is_terminated(
    launcher: LauncherName, name: str
) -> None:
    """
    Within a second, by the default, which gives five to a worker that is busy with one of them.
    """
    begun, never = threading.Event(), threading.Event()
    channel = MessageChannel()
    worker = Worker(talking.serve, argv=[channel.port2, 0], launcher=launcher)
    counter: Any = wrap(channel.port1)

    def wait(_: int) -> bool:
        begun.set()
        return never.wait(20.0)

    calls = [getattr(counter, name)(proxy(wait), 1), counter.add(), counter.add()]
    assert begun.wait(20.0)
    end = worker.terminate()
    try:
        wait_until(lambda: all(call.done() for call in calls), 1.0)
    finally:
        never.set()
    for call in calls:
        with pytest.raises(PortClosedError):
            call.result(0)
    assert 0 == end.result(10.0)


def test_case_152_a_proxy_does_what_the_object_does(launcher: LauncherName) -> None:
    """
    Get, set, call, construct, callbacks both ways; what cannot be sent is a TypeError.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        channel = MessageChannel()
        pool.submit(talking.serve, channel.port2, 1).result(20.0)
        counter: Any = wrap(channel.port1)
        counter.number = 5
        assert (6, 6) == (counter.add().result(10.0), fetch(counter.number).result(10.0))
        assert 9 == counter.call(proxy(lambda number: number * 3), 3).result(10.0)
        with pytest.raises(TypeError):
            counter.lock().result(10.0)
        assert 7 == counter.add().result(10.0)
        release(counter)
    rung: list[int] = []
    gone = threading.Event()
    channel = MessageChannel()
    finalizer = [lambda: rung.append(1), gone.set]
    expose(talking.Counter, channel.port1, finalizer=lambda: [call() for call in finalizer])
    remote: Any = wrap(channel.port2)
    assert 4 == construct(remote, 3).result(10.0).add().result(10.0)
    release(remote)
    assert gone.wait(10.0)
    assert [1] == rung
