"""
Tasks that talk, which workers import by name.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from tests.link.interrupts import interrupted_at
from webworker_executor import current_task, scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from webworker_executor import AbortSignal, SharedBuffer


def post(*messages: object) -> int:
    """Post messages and return the number of the task."""
    task = current_task()
    for message in messages:
        task.post_message(message)
    return task.id


def echo(count: int) -> int:
    """Post back so many messages, twice as large."""
    task = current_task()
    for _ in range(count):
        task.post_message(task.receive(10.0).data * 2)
    return count


def greet_and_wait() -> object:
    """Post a message, and wait for one without an end."""
    current_task().post_message(os.getpid())
    return current_task().receive().data


def greet_and_die() -> NoReturn:
    """Post a message and be killed."""
    current_task().post_message("last words")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


def heed() -> tuple[int, object]:
    """Wait for the abort of this task, and return the pid and the reason."""
    own = current_task().signal
    current_task().post_message(os.getpid())
    own.wait(10.0)
    scope.worker_state["reason"] = own.reason
    return os.getpid(), own.reason


def note_and_heed(number: int) -> None:
    """Leave a number in the worker, say so, and wait for the abort of this task."""
    own = current_task().signal
    scope.worker_state.setdefault("numbers", []).append(number)
    current_task().post_message(number)
    own.wait(10.0)


def numbers_left_behind() -> list[int]:
    """Return the numbers that tasks before this one have left in its worker."""
    numbers: list[int] = scope.worker_state.pop("numbers", [])
    return numbers


def reason_left_behind() -> object:
    """Return the reason that a task before this one has left in its worker."""
    return scope.worker_state.pop("reason", None)


async def rest() -> None:
    """Post the process and rest, until somebody cancels that."""
    current_task().post_message(os.getpid())
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        scope.worker_state["reason"] = current_task().signal.reason
        raise


def listen_for_abort() -> None:
    """Listen for the abort, and note in which thread it is heard."""
    heard = threading.Event()
    names: list[object] = []

    def hear(event: object) -> None:
        names.append(threading.current_thread() is threading.main_thread())
        heard.set()

    current_task().signal.add_event_listener("abort", hear)
    current_task().post_message(os.getpid())
    heard.wait(10.0)
    scope.worker_state["reason"] = names


def heed_and_ignore() -> None:
    """Look at the signal, and go on all the same."""
    assert not current_task().signal.aborted
    current_task().post_message(os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60.0)


def hold_the_interpreter(shared: SharedBuffer) -> None:
    """
    Keep every other thread from running, and have said so where that lets none in between.
    """
    begun = memoryview(shared)
    sys.setswitchinterval(1000.0)
    begun[0] = 1
    sum(range(10**12))


def spin(seconds: float, value: object) -> object:
    """Be busy for a time."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        pass
    return value


def catch_terminations() -> None:
    """End by a handler of SIGTERM that takes longer than a worker is given to reply."""
    caught = scope.worker_state["caught"] = []

    def catch(number: int, frame: object) -> None:
        caught.append(number)
        time.sleep(0.3)
        raise InterruptedError("terminated")

    signal.signal(signal.SIGTERM, catch)
    current_task().post_message(os.getpid())
    try:
        # A signal that comes just before a thread goes to sleep is seen when it wakes.
        for _ in range(1000):
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def caught_terminations() -> tuple[int, int]:
    """Return the pid, and how often the handler ran."""
    return os.getpid(), len(scope.worker_state["caught"])


def sleep_deaf() -> None:
    """Say that the task runs, and sleep for long without a look at anything."""
    current_task().post_message(os.getpid())
    time.sleep(60.0)


def wait_for(given: AbortSignal) -> tuple[bool, object]:
    """Wait for a signal that came as an argument."""
    current_task().post_message("waiting")
    return given.wait(10.0), given.reason


def spin_for(given: AbortSignal) -> object:
    """Look at a signal until it has aborted."""
    current_task().post_message("waiting")
    deadline = time.monotonic() + 10.0
    while not given.aborted and time.monotonic() < deadline:
        pass
    return given.reason


def start_program() -> int:
    """Start a program that goes on for long, and return its pid."""
    return os.posix_spawn("/bin/sleep", ["sleep", "60"], os.environ)


def run_program() -> None:
    """Run a program to its end, as `subprocess.run` does."""
    pid = start_program()
    current_task().post_message(pid)
    os.waitpid(pid, 0)


async def count_async(number: int, *, fails: bool = False) -> AsyncIterator[int]:
    """Count on a loop, and note how that ended."""
    try:
        for item in range(number):
            await asyncio.sleep(0)
            yield item
        if fails:
            raise ZeroDivisionError
    except GeneratorExit:
        scope.worker_state["closed"] = "GeneratorExit"
        raise


async def yield_and_rest(*, is_struck: bool = False, is_late: bool = False) -> AsyncIterator[int]:
    """Yield the process, wait for what never comes, and note how that ended."""
    yield os.getpid()
    if is_late:
        # As the alarm of a time that is over, however long that takes.
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGALRM)
    if is_struck:
        # As what a signal handler raises while the loop waits, it comes out of the loop.
        asyncio.get_running_loop().call_soon(sys.exit, "struck")
    try:
        await asyncio.sleep(60.0)
    except asyncio.CancelledError:
        # It may still await.
        await asyncio.sleep(0)
        scope.worker_state["closed"] = "cancelled"
        raise


def run_stubborn_program() -> None:
    """Run a program that ignores SIGTERM, and post its pid when it does."""
    command = "trap '' TERM; echo $$; while :; do sleep 60; done"
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        current_task().post_message(int(program.stdout.readline()))


def run_tidy_program(path: str) -> None:
    """Run a program that takes a while for its end, post its pid, and leave it a path."""
    end = f"sleep 0.3; echo tidied > {path}; exit"
    # Until it is a program of its own, the shell's copy that becomes the sleep loses a SIGTERM.
    wait_for_it = 'until read -r name < /proc/$!/comm && [ "$name" = sleep ]; do :; done'
    # No other sleep when SIGTERM has ended that one.
    command = f"trap '{end}' TERM; sleep 60 & {wait_for_it}; echo $$; while :; do wait; done"
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        current_task().post_message(int(program.stdout.readline()))


def sleep_and_save() -> str:
    """Sleep too long, and save what there is."""
    try:
        time.sleep(60.0)
    except TimeoutError:
        return "saved"
    return "slept"


def wait_and_save() -> str:
    """Wait too long for the task's own signal, and save what there is."""
    own = current_task().signal
    own.wait(60.0)
    return "saved" if isinstance(own.reason, TimeoutError) else "slept"


async def sleep_async_and_save() -> str:
    """Sleep too long on a loop, and save what there is."""
    try:
        await asyncio.sleep(60.0)
    except asyncio.CancelledError:
        return "saved"
    return "slept"


async def give_up_by_itself() -> NoReturn:
    """Cancel this very coroutine."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(60.0)
    raise AssertionError("it was cancelled")


def finish_early() -> str:
    """End in time."""
    return "finished"


def alarm() -> tuple[float, str]:
    """Return when the alarm rings, and whose its signal is."""
    return signal.getitimer(signal.ITIMER_REAL)[0], repr(signal.getsignal(signal.SIGALRM))


def sleep_until(signal: AbortSignal | None = None) -> tuple[str, bool]:
    """Sleep on a loop until a signal cancels that: one that came as an argument, or the task's."""

    async def main() -> tuple[str, bool]:
        loop = asyncio.get_running_loop()
        sleeping, here = loop.create_task(asyncio.sleep(60.0)), list[bool]()

        def cancel(_: object) -> None:
            here.append(asyncio.get_running_loop() is loop)
            sleeping.cancel()

        (signal or current_task().signal).add_event_listener("abort", cancel)
        current_task().post_message("sleeping")
        try:
            await sleeping
        except asyncio.CancelledError:
            return "cancelled", here == [True]
        return "slept", False

    return asyncio.run(main())


def listen_for(given: AbortSignal) -> list[object]:
    """Listen to a signal that came as an argument."""
    heard: list[object] = []
    rung = threading.Event()

    def hear(event: object) -> None:
        heard.append(given.reason)
        rung.set()

    given.add_event_listener("abort", hear)
    current_task().post_message("waiting")
    rung.wait(10.0)
    return heard


def pass_on(given: AbortSignal) -> object:
    """Give a signal on to a worker of a worker."""
    from webworker_executor import WebWorkerExecutor

    with WebWorkerExecutor(1) as executor:
        future = executor.submit(wait_for, given)
        next(iter(future.messages()))
        current_task().post_message("waiting")
        return future.result(10.0)


def tasks_seen_elsewhere() -> list[int]:
    """Return the number of the task, as seen from a thread, from asyncio, and by `to_thread`."""
    seen = [current_task().id]
    thread = threading.Thread(target=lambda: seen.append(current_task().id))
    thread.start()
    thread.join()

    async def main() -> None:
        seen.append(current_task().id)
        seen.append(await asyncio.to_thread(lambda: current_task().id))

    asyncio.run(main())
    return seen


def outlive(context: str = "plain") -> None:
    """Leave a thread behind that posts for this task when the next one runs."""
    task = current_task()
    scope.worker_state["go"] = go = threading.Event()
    scope.worker_state["outcome"] = outcome = []

    def post_late() -> None:
        go.wait(10.0)
        try:
            task.post_message("too late")
        except RuntimeError as error:
            outcome.append(str(error))

    run = contextvars.copy_context().run
    scope.worker_state["thread"] = thread = threading.Thread(target=run, args=(post_late,))
    thread.start()


def hear_of_outlived() -> list[str]:
    """Let the thread of `outlive` go on, and return what became of it."""
    scope.worker_state["go"].set()
    scope.worker_state["thread"].join(10.0)
    outcome: list[str] = scope.worker_state["outcome"]
    return outcome


def on_a_loop() -> list[object]:
    """Take messages by a handler and by `areceive`, on a loop that the task runs."""

    async def main() -> list[object]:
        task = current_task()
        first = await task.areceive()
        came = asyncio.get_running_loop().create_future()
        task.onmessage = lambda event: came.set_result(event.data)
        return [first.data, await came]

    return asyncio.run(main())


def report(count: int) -> None:
    """Report after each step."""
    task = current_task()
    for done in range(count + 1):
        task.report(done, count)


def report_when_told(count: int) -> None:
    """Report after each step, from the first message on."""
    current_task().receive(20.0)
    report(count)


def count(stop: int, fail_at: int = -1) -> Iterator[int]:
    """Yield numbers, and leave word of how it ended."""
    try:
        for number in range(stop):
            if number == fail_at:
                raise ValueError(f"no {number}")
            scope.worker_state["made"] = number + 1
            yield number
    except GeneratorExit:
        scope.worker_state["ended"] = "closed"
        raise
    scope.worker_state["ended"] = "done"


def state(name: str) -> Any:
    """Return what tasks have left in this worker."""
    return scope.worker_state.get(name)


def yield_and_die() -> Iterator[int]:
    """Yield an item and be killed."""
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def pid() -> int:
    """Return the worker's pid."""
    return os.getpid()


def index() -> int | None:
    """Return the worker's place."""
    return scope.index


def die_once(path: str) -> str:
    """Be killed the first time, and return the second."""
    try:
        with open(path, "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        pass
    return "survived"


def fail_before(attempts: int) -> int:
    """Raise ConnectionError until the last attempt, which returns its number."""
    tried: int = scope.worker_state.get("tried", 0) + 1
    scope.worker_state["tried"] = tried
    if tried < attempts:
        raise ConnectionError(f"attempt {tried}")
    return tried


class Counter:
    """Something with a state."""

    def __init__(self, start: int = 0) -> None:
        if start < 0:
            raise ValueError("a counter starts at 0 or more")
        self.number = start

    def add(self, step: int = 1) -> int:
        """Count on."""
        self.number += step
        return self.number

    async def add_later(self, step: int = 1) -> int:
        """Count on, after others have had their turn."""
        await asyncio.sleep(0)
        return self.add(step)

    async def fail_later(self) -> NoReturn:
        """Raise ValueError."""
        self.fail()

    def fail(self) -> NoReturn:
        """Raise ValueError."""
        raise ValueError("as asked")

    def pid(self) -> int:
        """Return the pid of the process it lives in."""
        return os.getpid()

    def die(self) -> NoReturn:
        """End the process it lives in."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives SIGKILL")

    def lock(self) -> object:
        """Return what cannot be sent."""
        return threading.Lock()

    def ask(self, function: Any, argument: object) -> object:
        """Call something that lives elsewhere, and wait for no answer."""
        return function(argument)

    def call(self, function: Any, argument: object) -> object:
        """Call something that lives elsewhere."""
        return function(argument).result(10.0)

    async def call_later(self, function: Any, argument: object) -> object:
        """Call something that lives elsewhere, as asyncio does."""
        return await function(argument)


def serve(port: Any, start: int) -> None:
    """Expose a counter: its calls are served between this worker's tasks."""
    from webworker_executor import expose

    expose(Counter(start), port)


def add_twice(port: Any) -> list[int]:
    """Call a counter that is exposed elsewhere."""
    from webworker_executor import wrap

    counter = wrap(port)
    return [counter.add().result(10.0) for _ in range(2)]


def n_actors() -> int:
    """Return how many actors live in this worker."""
    from webworker_executor.pool import inside

    return len(inside._actors)


class Struck(BaseException):
    """What a signal handler raises in a task."""


def look_at_signal_struck(step: int) -> bool:
    """Look at the signal where a handler raises, and once more; wait for its abort."""
    task = current_task()
    is_struck = False
    try:
        with interrupted_at(step, _strike):
            _ = task.signal
    except Struck:
        is_struck = True
    own = task.signal
    task.post_message(is_struck)
    scope.worker_state["aborted"] = own.wait(10.0)
    return is_struck


def report_struck(step: int) -> bool:
    """Report where a handler raises; returns whether it did."""
    task = current_task()
    task.receive(10.0)
    try:
        with interrupted_at(step, _strike):
            task.report(1, 2)
    except Struck:
        return True
    return False


def _strike() -> None:
    raise Struck
