"""
Tests of `webworker_executor.link.thread`: a thread is started once, whatever happens meanwhile.
"""

from __future__ import annotations

import threading

import pytest

from webworker_executor.link.thread import ServiceThread


def test_it_is_started_once() -> None:
    """
    A second start does nothing, and the thread serves once.
    """
    served: list[str] = []
    service = ServiceThread(lambda: served.append(threading.current_thread().name), "service")
    service.start()
    service.start()
    service.join()
    assert ["service"] == served
    assert not service.is_current


def test_a_start_within_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A signal handler that comes back in the middle of the start leaves it to the outer call.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")
    start = threading.Thread.start

    def start_with_a_handler(thread: threading.Thread) -> None:
        service.start()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_with_a_handler)
    service.start()
    service.join()
    assert [1] == served


@pytest.mark.parametrize("is_made", [True, False])
def test_a_handler_that_raises(monkeypatch: pytest.MonkeyPatch, is_made: bool) -> None:
    """
    Its error comes out, and the next start starts the thread if it was not made yet.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")
    start = threading.Thread.start

    def start_and_raise(thread: threading.Thread) -> None:
        if is_made:
            start(thread)
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr("webworker_executor.link.thread._UP_SECONDS", 0.05)
        patch.setattr(threading.Thread, "start", start_and_raise)
        with pytest.raises(TimeoutError):
            service.start()
    service.start()
    service.join()
    assert [1] == served


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the system refuses, the error says so and it may be tried again.
    """
    served: list[int] = []
    service = ServiceThread(lambda: served.append(1), "service")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            service.start()
    service.start()
    service.join()
    assert [1] == served
