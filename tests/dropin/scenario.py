"""
One scenario of the table, run as a program of its own: `python -m tests.dropin.scenario NAME PEER`.

It writes one line, the verdict. It stands alone since some pools hang, and a hang must take no more
than one session with it. The rows' titles and our promises are in `table.py`.

Whoever changes it must know that it is the `__main__` module of the program: functions and classes
here are what users define in theirs.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.dropin.language import LANGUAGE, read_language
from tests.dropin.peers import make_peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dropin.peers import Peer

PATIENCE = 5.0
"""Seconds after which a call that has not come back is said to hang."""


class NeedsArgumentsError(Exception):
    """An exception that cannot be made from its `args` alone."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code


class FailsToUnpickle:
    """Packs well and cannot be unpacked."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return _raise_value_error, ("cannot be unpacked",)


def _raise_value_error(reason: str) -> None:
    raise ValueError(reason)


def _raise_needs_arguments() -> None:
    raise NeedsArgumentsError(3, "a full disk")


def _raise_from_cause() -> None:
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as exc:
        raise ValueError("outer") from exc


def _fail_to_start() -> None:
    raise ValueError("initializer")


def _return_lock() -> object:
    return threading.Lock()


def _return_fails_to_unpickle() -> FailsToUnpickle:
    return FailsToUnpickle()


def _say_that_it_runs(fifo: str, seconds: float) -> None:
    with open(fifo, "w") as stream:
        stream.write(f"{os.getpid()}\n")
    time.sleep(seconds)


def _nest(peer_name: str) -> int:
    inner = make_peer(peer_name, 1)
    result: int = inner.wait_for(inner.submit(abs, -7), PATIENCE)
    inner.leave()
    return result


def _describe(peer: Peer, fn: Callable[..., object], *args: object) -> str:
    try:
        peer.wait_for(peer.submit(fn, *args), PATIENCE)
    except TimeoutError:
        return "caller hangs"
    except BaseException as exc:
        return type(exc).__name__
    return "ok"


def _describe_pool(peer: Peer) -> str:
    return "pool usable" if _describe(peer, abs, -1) == "ok" else "pool dead"


def _read_lines(fifo: str, count: int) -> list[str]:
    # Open for writing too: with a reader that never sees the end, no writer comes too late.
    with open(os.open(fifo, os.O_RDWR)) as stream:
        return [stream.readline() for _ in range(count)]


def lambda_task(name: str) -> str:
    """A lambda goes to a worker."""
    return _describe(make_peer(name), lambda: 1)


def required_arguments(name: str) -> str:
    """An exception with required arguments comes back whole."""
    peer = make_peer(name)
    try:
        peer.wait_for(peer.submit(_raise_needs_arguments), PATIENCE)
    except NeedsArgumentsError as exc:
        verdict = "right exception" if exc.code == 3 else "exception without its attributes"
    except TimeoutError:
        verdict = "caller hangs"
    except BaseException as exc:
        verdict = type(exc).__name__
    return f"{verdict}, {_describe_pool(peer)}"


def unpicklable_result(name: str) -> str:
    """A result that cannot be packed fails its own call."""
    peer = make_peer(name)
    return f"{_describe(peer, _return_lock)}, {_describe_pool(peer)}"


def result_fails_to_unpickle(name: str) -> str:
    """A result that cannot be unpacked fails its own call."""
    peer = make_peer(name)
    return f"{_describe(peer, _return_fails_to_unpickle)}, {_describe_pool(peer)}"


def argument_fails_to_unpickle(name: str) -> str:
    """An argument that cannot be unpacked fails its own call."""
    peer = make_peer(name)
    return f"{_describe(peer, id, FailsToUnpickle())}, {_describe_pool(peer)}"


def exit_in_task(name: str) -> str:
    """`sys.exit` in a task is an exception like others."""
    peer = make_peer(name)
    return f"{_describe(peer, sys.exit, 3)}, {_describe_pool(peer)}"


def one_crash(name: str) -> str:
    """A crash costs the task that crashed."""
    peer = make_peer(name)
    handles: list[Any] = []
    verdicts = []
    calls: list[tuple[Callable[..., object], int]] = [(os._exit, 1), *((abs, -n) for n in range(4))]
    for fn, number in calls:
        try:
            handles.append(peer.submit(fn, number))
        except Exception as exc:
            # The crash was noticed before this call, and broke the pool.
            verdicts.append(type(exc).__name__)
    for handle in handles:
        try:
            peer.wait_for(handle, PATIENCE)
        except TimeoutError:
            verdicts.append("hangs")
        except BaseException as exc:
            verdicts.append(type(exc).__name__)
        else:
            verdicts.append("ok")
    told = ", ".join(
        f"{verdicts.count(text)} {text}" for text in sorted(set(verdicts), key=str.lower)
    )
    return f"{told}, {_describe_pool(peer)}"


def cancel_running(name: str) -> str:
    """A task that runs can be ended."""
    peer = make_peer(name)
    with tempfile.TemporaryDirectory() as folder:
        fifo = f"{folder}/fifo"
        os.mkfifo(fifo)
        handle = peer.submit(_say_that_it_runs, fifo, 60.0)
        _read_lines(fifo, 1)
        try:
            peer.abort(handle)
        except NotImplementedError:
            return "no API"
    try:
        peer.wait_for(handle, PATIENCE)
    except TimeoutError as exc:
        return "no" if type(exc) is TimeoutError else "yes"
    except BaseException:
        return "yes"
    return "no"


def nested_pool(name: str) -> str:
    """A task may have a pool of its own."""
    return _describe(make_peer(name), _nest, name)


def remote_frames(name: str) -> str:
    """The frames of the worker and the cause are objects here."""
    peer = make_peer(name)
    handle = peer.submit(_raise_from_cause)
    try:
        peer.wait_for(handle, PATIENCE)
    except ValueError as exc:
        names = {frame.f_code.co_name for frame, _ in traceback.walk_tb(exc.__traceback__)}
        frames = "yes" if _raise_from_cause.__name__ in names else "no"
        cause = "yes" if isinstance(exc.__cause__, ZeroDivisionError) else "no"
        return f"{frames} / {cause}"
    return "no exception"


def context_variable(name: str) -> str:
    """The context of `submit` is the context of the task."""
    peer = make_peer(name)
    _describe_pool(peer)
    LANGUAGE.set("set by the caller")
    told = peer.wait_for(peer.submit(read_language), PATIENCE)
    return "yes" if told == "set by the caller" else "no"


def mutated_argument(name: str) -> str:
    """What is sent is what it was when it was submitted."""
    peer = make_peer(name)
    argument = [1]
    handles = [peer.submit(time.sleep, 0.2) for _ in range(8)]
    handles.append(peer.submit(list, argument))
    argument.append(2)
    return "intact" if peer.wait_for(handles[-1], PATIENCE) == [1] else "corrupted"


def initializer_raises(name: str) -> str:
    """The real reason is told."""
    try:
        peer = make_peer(name, initializer=_fail_to_start)
        peer.wait_for(peer.submit(abs, -1), PATIENCE)
    except TimeoutError:
        return "caller hangs"
    except Exception as exc:
        cause = f"from {type(exc.__cause__).__name__}" if exc.__cause__ else "without cause"
        return f"{type(exc).__name__} {cause}"
    return "ignored, the task runs"


def submit_while_importing(name: str) -> str:
    """A module may use a pool in its body, with tasks of its own and of others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "busy_module.py").write_text(BUSY_MODULE)
        sys.path.insert(0, folder)
        os.environ["SCENARIO_HOST"] = str(os.getpid())
        os.environ["SCENARIO_PEER"] = name
        try:
            module = importlib.import_module("busy_module")
        except TimeoutError:
            return "hangs"
        except BaseException as exc:
            return type(exc).__name__
        return "ok" if module.RESULTS == [42, 7] else f"wrong: {module.RESULTS}"


BUSY_MODULE = """\
import os

if os.environ["SCENARIO_HOST"] != str(os.getpid()):
    raise ImportError("a worker imports the module, which would start workers in turn")

from tests.dropin.peers import make_peer

def double(number):
    return 2 * number

peer = make_peer(os.environ["SCENARIO_PEER"])
handles = [peer.submit(double, 21), peer.submit(abs, -7)]
RESULTS = [peer.wait_for(handle, 5) for handle in handles]
"""


def wait_after_cancel(name: str) -> str:
    """Whoever waits for a future learns that it was cancelled."""
    peer = make_peer(name)
    if not isinstance(peer.pool, concurrent.futures.Executor):
        return "n/a"
    handles = [peer.submit(time.sleep, 0.1) for _ in range(20)]
    try:
        peer.pool.shutdown(wait=True, cancel_futures=True)
    except TypeError:
        return "no such argument"
    _, not_done = concurrent.futures.wait(handles, timeout=PATIENCE)
    return "hangs" if not_done else "returns"


def parent_is_killed(name: str) -> str:
    """Nobody outlives the parent (the program that started this one kills it and counts)."""
    fifo = os.environ["SCENARIO_FIFO"]
    peer = make_peer(name)
    handles = [peer.submit(_say_that_it_runs, fifo, 60.0) for _ in range(2)]
    for handle in handles:
        peer.wait_for(handle, 60.0)
    return "was not killed"


def interrupt_with_block(name: str) -> str:
    """Ctrl-C ends the program at once (the program that started this one presses it)."""
    fifo = os.environ["SCENARIO_FIFO"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    peer = make_peer(name)
    try:
        handles = [peer.submit(_say_that_it_runs, fifo, 3.0) for _ in range(6)]
        for handle in handles:
            peer.wait_for(handle, 60.0)
    finally:
        peer.leave(*sys.exc_info())
    return "was not interrupted"


def interrupt_without_block(name: str) -> str:
    """Ctrl-C ends the program at once, also where no `with` block is left."""
    fifo = os.environ["SCENARIO_FIFO"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    peer = make_peer(name)
    handles = [peer.submit(_say_that_it_runs, fifo, 3.0) for _ in range(6)]
    for handle in handles:
        peer.wait_for(handle, 60.0)
    return "was not interrupted"


def main() -> None:
    """Run the scenario named on the command line, say the verdict, and leave without tidying up."""
    scenario, peer_name = sys.argv[1:]
    verdict = globals()[scenario](peer_name)
    sys.stdout.write(f"\n{verdict}\n")
    sys.stdout.flush()
    # A pool that hangs would hang its exit as well; the verdict is out.
    os._exit(0)


if __name__ == "__main__":
    main()
