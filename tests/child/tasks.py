"""
Tasks that a worker runs in these tests; imported there by name.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from webworker_executor import scope


def evaluate(expression: str) -> Any:
    """
    Evaluate an expression where this module's names are at hand.
    """
    return eval(expression)


def describe() -> list[object]:
    """
    Tell what the worker knows of itself.
    """
    return [scope.is_worker, scope.index, scope.name, scope.worker_data, repr(scope)]


def wait_for_line(path: str) -> str:
    """
    Block until somebody writes into a named pipe.
    """
    with open(path) as pipe:
        return pipe.read()


def backtrack() -> None:
    """
    Spend hours in the regular expression engine, which holds the interpreter.
    """
    re.match(r"(a+)+$", "a" * 64 + "b")


def fork_and_return() -> int:
    """
    Return in two processes.
    """
    os.fork()
    return os.getpid()


def fork_and_raise() -> None:
    """
    Raise in two processes.
    """
    os.fork()
    raise LookupError(os.getpid())


def fork_and_exit() -> None:
    """
    Raise SystemExit in the copy only, as a program's child would.
    """
    if os.fork() == 0:
        sys.exit(3)


def fork_and_post() -> str:
    """
    Let the copy try to post a message; return what that raised.
    """
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            scope.post_message("from the copy")
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    text = os.read(reading, 1000).decode()
    os.close(reading)
    return text


def set_echo() -> None:
    """
    Send every message back.
    """
    scope.onmessage = lambda event: scope.post_message(("echo", event.type, event.data))


def set_failing_handler() -> None:
    """
    Fail at the message "fail" and send every other back.
    """

    def handle(event: Any) -> None:
        if event.data == "fail":
            raise LookupError("a handler's bug")
        if event.data == "exit":
            sys.exit("a handler's exit")
        scope.post_message(event.data)

    scope.onmessage = handle


def set_forking_handler() -> None:
    """
    Return from the handler in two processes.
    """

    def handle(event: Any) -> None:
        os.fork()

    scope.onmessage = handle


def post(*messages: object) -> str:
    """
    Post messages, then answer.
    """
    for message in messages:
        scope.post_message(message)
    return "posted"


def post_from_threads(n_threads: int, n_messages: int, nbytes: int) -> None:
    """
    Post large messages from several threads at once.
    """

    def send(index: int) -> None:
        for number in range(n_messages):
            scope.post_message((index, number, bytes([index]) * nbytes))

    threads = [threading.Thread(target=send, args=(index,)) for index in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def interrupted() -> str:
    """
    Wait for SIGINT, and tell that it came.
    """
    try:
        scope.post_message("waiting")
        time.sleep(5)  # work, for a signal to end
    except KeyboardInterrupt:
        return "interrupted"
    return "not interrupted"


def wait_for_signal() -> None:
    """
    Wait for a signal without catching what its handler raises.
    """
    scope.post_message("waiting")
    time.sleep(5)  # work, for a signal to end


def make_non_blocking() -> None:
    """
    Do to the link what asyncio does to sockets.
    """
    os.set_blocking(3, False)


def write_noise(fd: int, noise: bytes) -> None:
    """
    Write where frames belong.
    """
    os.write(fd, noise)


def give(value: Any) -> Any:
    """
    Return the argument.
    """
    return value


def fork_and_sleep() -> int:
    """
    Leave a process behind and return its pid.
    """
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    return pid


def start_thread(path: str) -> None:
    """
    Leave a thread behind that writes a file when the main thread has ended.
    """

    def write() -> None:
        threading.main_thread().join()
        with open(path, "w") as trace:
            trace.write("done")

    threading.Thread(target=write).start()


def absorb_interrupts() -> None:
    """
    Catch what SIGINT is still on its way.
    """
    for _ in range(5):
        try:
            time.sleep(0.01)  # a signal that another thread got has no event to wait for
        except KeyboardInterrupt:
            continue


_called: list[str] = []


def listen_for_calls() -> bool:
    """
    Let the worker's loop wait for calls.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it
    loop.listen()
    loop.listen()
    return True


def call_from_thread(path: str) -> None:
    """
    Leave a thread behind that asks for a call once the worker idles.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it

    def tell() -> None:
        state = "busy" if loop.is_running_task else "idle"
        with open(path, "w") as gate:
            gate.write(f"{threading.current_thread().name} {state}")

    threading.Thread(target=lambda: loop.call_soon(tell), daemon=True).start()


def listen_from_thread(path: str) -> None:
    """
    Leave a thread behind that listens for calls once the worker waits for frames, and asks for one.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it

    def call() -> None:
        while not (loop._reading.locked() or loop._wait is not None):
            time.sleep(0.001)  # nobody tells that another waits
        loop.listen()
        loop.call_soon(lambda: Path(path).write_text("called"))

    threading.Thread(target=call, daemon=True).start()


def listen_at_a_signal(path: str) -> int:
    """
    Have a signal begin to listen for calls, and ask for one afterwards.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it

    def begin(*_: object) -> None:
        loop.expect()
        loop.expect()
        # As soon as the handler has returned, and what it came into goes on.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        loop.call_soon(lambda: Path(path).write_text("called"))

    signal.signal(signal.SIGUSR1, begin)
    return os.getpid()


def recall_before_waiting(path: str) -> None:
    """
    Have the control thread give back a task right before the next wait, once somebody says so.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it
    native = loop._wait

    def wait() -> object:
        loop._wait = native
        wait_for_line(path)
        thread = threading.Thread(target=loop.give_back, args=(1,))
        thread.start()
        thread.join()
        return native()

    loop._wait = wait


def ring_before_calling(path: str) -> None:
    """
    Ring as for a call that was made already, and leave a thread that asks for one after that.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it
    os.eventfd_write(loop._alarm, 1)

    def call() -> None:
        while select.select([loop._alarm], [], [], 0.0)[0]:
            time.sleep(0.001)  # nobody tells that a counter was read
        loop.call_soon(lambda: Path(path).write_text("called"))

    threading.Thread(target=call, daemon=True).start()


def call_in_task() -> list[str]:
    """
    Ask for a call, and tell which have been made meanwhile.
    """
    loop = scope._send.__self__  # type: ignore[union-attr]  # the loop, as a worker has it
    loop.call_soon(lambda: _called.append("called"))
    return list(_called)


def called() -> list[str]:
    """
    Tell which calls were made.
    """
    return _called
