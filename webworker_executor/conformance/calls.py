"""
Scenarios of cancelling, shutting down, callbacks, threads, and pools in odd places.

Whoever changes it must know that it is the `__main__` module of its program.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import os
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webworker_executor.conformance import tasks
from webworker_executor.conformance.face import NotAskedError
from webworker_executor.conformance.scene import (
    FIFO,
    PATIENCE,
    count_right,
    describe,
    describe_handle,
    describe_pool,
    listening,
    perform,
    submit_numbers,
)
from webworker_executor.conformance.subject import VARIABLE, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.conformance.face import Face


def _submit_future(face: Face, fn: Callable[..., object], *args: object) -> Any:
    future = face.submit(fn, *args)
    if not isinstance(future, concurrent.futures.Future):
        raise NotAskedError("n/a")
    return future


def cancel_running(subject: Subject) -> str:
    """A task that runs can be ended."""
    face = subject.make()
    with listening() as wait_for_tasks:
        handle = face.submit(tasks.say, os.environ[FIFO], 60.0)
        wait_for_tasks(1)
        face.abort(handle)
    try:
        face.wait_for(handle, PATIENCE)
    except TimeoutError as exc:
        return "no" if type(exc) is TimeoutError else "yes"
    except BaseException:
        return "yes"
    return "no"


def cancel_races_with_start(subject: Subject) -> str:
    """A task whose cancel returned True never runs; every other does."""
    face = subject.make()
    path = os.path.abspath("marks")
    futures = [_submit_future(face, tasks.mark, path, number) for number in range(1000)]
    order = list(range(len(futures)))
    random.Random(7).shuffle(order)
    cancelled = {number for number in order if futures[number].cancel()}
    _, waiting = concurrent.futures.wait(futures, 2 * PATIENCE)
    if waiting:
        return f"{len(waiting)} of {len(futures)} hang"
    ran = [int(line) for line in Path(path).read_text().split()] if os.path.exists(path) else []
    wrong = len(cancelled.intersection(ran))
    lost = len(futures) - len(cancelled) - len(set(ran) - cancelled)
    return f"{wrong} cancelled tasks ran, {lost} others did not"


def wait_after_cancel(subject: Subject) -> str:
    """Whoever waits for a future learns that it was cancelled."""
    face = subject.make()
    executor = face.executor
    handles = [face.submit(time.sleep, 0.1) for _ in range(20)]
    try:
        executor.shutdown(wait=True, cancel_futures=True)
    except TypeError:
        return "no such argument"
    _, not_done = concurrent.futures.wait(handles, timeout=PATIENCE)
    return "hangs" if not_done else "returns"


def submit_after_shutdown(subject: Subject) -> str:
    """A pool that was shut down, twice, says so."""
    face = subject.make()
    executor = face.executor
    describe_pool(face)
    for _ in range(2):
        executor.shutdown()
    try:
        return describe_handle(face, face.submit(abs, -1))
    except RuntimeError as exc:
        return "BrokenExecutor" if isinstance(exc, BrokenExecutor) else "RuntimeError"


def dropped_pool(subject: Subject) -> str:
    """What a pool was given is done though nobody holds the pool."""
    face = subject.make()
    handles = submit_numbers(face, tasks.mark_late, 20, os.path.abspath("marks"))
    face.executor  # noqa: B018  # or else there is nothing to ask
    face.pool = None
    return f"{count_right(face, handles)} right"


def callback_raises(subject: Subject) -> str:
    """A callback that raises keeps nothing from the next, and nothing from other calls."""
    return _describe_callbacks(subject, ValueError("in a callback"))


def callback_exits(subject: Subject) -> str:
    """Nor does one that raises SystemExit."""
    return _describe_callbacks(subject, SystemExit(1))


def _describe_callbacks(subject: Subject, error: BaseException) -> str:
    face = subject.make()
    called = threading.Event()

    def fail(_: object) -> None:
        raise error

    # Not done before the callbacks are there: added later, one raises where it is added.
    future = _submit_future(face, time.sleep, 0.1)
    future.add_done_callback(fail)
    future.add_done_callback(lambda _: called.set())
    told = "the next is called" if called.wait(PATIENCE) else "the next is never called"
    return f"{told}, {describe_pool(face)}"


def callback_submits(subject: Subject) -> str:
    """A callback may use the pool."""
    face = subject.make()
    answers: list[object] = []
    done = threading.Event()

    def finish(future: Any) -> None:
        answers.append(future.result())
        done.set()

    def go_on(future: Any) -> None:
        face.submit(tasks.same, future.result() + 1).add_done_callback(finish)

    _submit_future(face, abs, -1).add_done_callback(go_on)
    return "ok" if done.wait(PATIENCE) and answers == [2] else "callback hangs"


def callback_shuts_down(subject: Subject) -> str:
    """A callback may end the pool; what the pool was given is done."""
    face = subject.make()
    executor = face.executor
    first = face.submit(time.sleep, 0.1)
    behind = [face.submit(tasks.mark_late, os.path.abspath("marks"), n) for n in range(10)]
    first.add_done_callback(lambda _: executor.shutdown(wait=False))
    told = describe_handle(face, first)
    return f"{told}, {count_right(face, behind)} others right"


def submit_from_threads(subject: Subject) -> str:
    """Threads by the dozen submit at once, and each gets its own answers."""
    face = subject.make()
    rights: list[int] = []

    def submit_many() -> None:
        handles = submit_numbers(face, tasks.same, 50)
        rights.append(int(count_right(face, handles, 2 * PATIENCE).split()[0]))

    threads = [threading.Thread(target=submit_many, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
    return f"{sum(rights)} of {len(threads) * 50} right"


def nested_pool(subject: Subject) -> str:
    """A task may have a pool of its own."""
    return describe(subject.make(), _nest)


def _nest() -> object:
    inner = Subject.here().make(1)
    result = inner.wait_for(inner.submit(abs, -7), PATIENCE)
    inner.leave()
    return result


def submit_while_importing(subject: Subject) -> str:
    """A module may use a pool in its body, with tasks of its own and of others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "busy_module.py").write_text(BUSY_MODULE)
        sys.path.insert(0, folder)
        os.environ["CONFORMANCE_HOST"] = str(os.getpid())
        os.environ[VARIABLE] = subject.text
        try:
            module = importlib.import_module("busy_module")
        except TimeoutError:
            return "hangs"
        except BaseException as exc:
            return type(exc).__name__
        expected = [42, 7, 3, *range(0, 200, 2)]
        return "ok" if expected == module.RESULTS else f"wrong: {module.RESULTS}"


BUSY_MODULE = """\
import concurrent.futures
import os

if os.environ["CONFORMANCE_HOST"] != str(os.getpid()):
    raise ImportError("a worker imports the module, which would start workers in turn")

from webworker_executor.conformance.subject import Subject

def double(number):
    return 2 * number

class Sized:
    def __len__(self):
        return 3

face = Subject.here().make()
handles = [face.submit(double, 21), face.submit(abs, -7), face.submit(len, Sized())]
RESULTS = [face.wait_for(handle, 5) for handle in handles]
is_executor = isinstance(face.pool, concurrent.futures.Executor)
RESULTS += (face.pool.map if is_executor else map)(double, range(100))
"""


if __name__ == "__main__":
    perform(globals())
