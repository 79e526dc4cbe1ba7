"""One face for pools of several kinds."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from webworker_executor import TaskAborted, WebWorkerExecutor
from webworker_executor.conformance.face import NotAskedError, face_of


def test_an_executor_is_used_as_one() -> None:
    """Results, exceptions and time-outs are the future's."""
    face = face_of(ThreadPoolExecutor(1))
    assert 3 == face.wait_for(face.submit(abs, -3), 10.0)
    with pytest.raises(ZeroDivisionError):
        face.wait_for(face.submit(divmod, 1, 0), 10.0)
    may_return = threading.Event()
    handle = face.submit(may_return.wait, 20.0)
    with pytest.raises(TimeoutError):
        face.wait_for(handle, 0.0)
    with pytest.raises(NotAskedError, match="no API"):
        face.abort(handle)
    may_return.set()
    assert face.pool is face.executor
    face.leave()


def test_our_tasks_can_be_stopped() -> None:
    """`abort` is found by its name."""
    face = face_of(WebWorkerExecutor(1))
    handle = face.submit(time.sleep, 60.0)
    face.abort(handle)
    with pytest.raises(TaskAborted):
        face.wait_for(handle, 10.0)
    face.end()


@pytest.mark.slow
def test_a_pool_of_multiprocessing() -> None:
    """Its own TimeoutError becomes the builtin one, unless a task raised it."""
    face = face_of(multiprocessing.get_context("spawn").Pool(1))
    assert 3 == face.wait_for(face.submit(abs, -3), 20.0)
    with pytest.raises(TimeoutError):
        face.wait_for(face.submit(time.sleep, 0.1), 0.0)
    for ask in (lambda: face.abort(None), lambda: face.executor):
        with pytest.raises(NotAskedError):
            ask()
    face.end()


def test_anything_else_is_refused() -> None:
    """With the name of what it is."""
    with pytest.raises(TypeError, match="int has neither submit nor apply_async"):
        face_of(3)
