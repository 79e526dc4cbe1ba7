"""
The entry of a worker: from a process with two sockets to a loop that serves.

Everything that is done once, before the first task, is here; what is done for each task is in
``loop``. The order matters: the process is tied to its host's life before anything else, so that
there is no moment at which it could be left behind.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import _socket
import posix
import sys

from webworker_executor.child import lifeline
from webworker_executor.child.loop import Loop
from webworker_executor.child.scope import scope
from webworker_executor.link.rights import Descriptor, receive
from webworker_executor.web import dispatch
from webworker_executor.wire import codec, transfer
from webworker_executor.wire.apart import writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def main(
    host: int,
    data_fd: int = 3,
    control_fd: int = 4,
    ledger_fd: int = 5,
    inherited: tuple[Callable[..., object], tuple[object, ...]] | None = None,
) -> None:
    """
    Be a worker until the host is done with it.

    Args:
        host: The process id of whoever started this process.
        data_fd: The data link.
        control_fd: The control link.
        ledger_fd: The ledger, or anything that may be closed where there is none.
        inherited: The initializer and its arguments, in a process that was forked with them.
    """
    # First of all: a task that holds the interpreter in C could not be ended otherwise.
    lifeline.die_with_parent(host)
    fill_standard_streams()
    never_wait_for_the_terminal()
    for fd in (data_fd, control_fd):
        # Of a new program they are inheritable, or they would not be there.
        posix.set_inheritable(fd, False)
    loop = Loop(_socket.socket(fileno=data_fd))
    control = _socket.socket(fileno=control_fd)
    _take_interrupts_only_in_tasks(loop)
    hello = loop.hello()
    if hello.get("script") is not None:
        from webworker_executor.child import script

        posix.close(ledger_fd)
        script.main(loop, control, hello, host)
        return
    _get_ready(loop, control, hello, ledger_fd, inherited)
    # Not kept for as long as the worker lives.
    del hello, inherited
    loop.run()


def _get_ready(
    loop: Loop,
    control: _socket.socket,
    hello: dict[str, Any],
    ledger_fd: int,
    inherited: tuple[Callable[..., object], tuple[object, ...]] | None,
) -> None:
    fds = _receive_fds(control, hello["n_fds"])
    if hello.get("has_witness"):
        from webworker_executor.child.witness import testify

        testify(fds.pop())
    dispatch.install(loop.call_soon, loop.expect)
    transfer.learn_later(_learn_to_send_files)
    lifeline.start(
        control,
        loop.give_back,
        recall=loop.notes.come_to_mark_aside,
        take=loop.desk.take,
        lost=lambda: loop.call_soon(_end),
    )
    loop.notes.map(ledger_fd, hello["ledger_entry"])
    from webworker_executor.child.identity import adopt

    adopt(hello, f"WebWorker-{hello['index']}", loop)
    if hello["main"] is not None:
        _stand_in_for_main(hello["main"])
    if hello.get("logs") is not None:
        from webworker_executor.child import logs

        levels, disabled = hello["logs"]
        logs.install(loop, levels, disabled, f"WebWorker-{hello['index']}")
    try:
        _initialize(hello, fds, inherited)
    except BaseException as exc:
        _report_initializer(loop, exc)
        # In order: what was logged through a queue is still on its way.
        raise SystemExit(1) from None
    loop.end_copy()
    if hello.get("memory") is not None:
        from webworker_executor.child.meter import Meter

        loop.meter = Meter(loop, *hello["memory"])
    loop.ready()


def fill_standard_streams() -> None:
    """
    Open what is closed of 0, 1 and 2, so that nothing else can come to stand there.

    What a task prints, also from C, would go into a link or a file that got the number.
    """
    for fd in range(3):
        try:
            posix.fstat(fd)
        except OSError:
            # The lowest that is free, which is this one.
            posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)


def never_wait_for_the_terminal() -> None:
    """
    Have a read of the terminal fail at once, and a write go through.

    Ctrl-C is for the program alone, so this is a process group in the background, and the kernel
    stops such a one when it reads there, or writes after ``stty tostop``; nobody would go on with
    it.

    Source: POSIX, "Terminal Access Control".
    """
    for number in (_signal.SIGTTIN, _signal.SIGTTOU):
        _signal.signal(number, _signal.SIG_IGN)


def _end() -> None:
    posix._exit(1)


def _learn_to_send_files() -> None:
    from webworker_executor.web.movable import movable

    movable()


def _take_interrupts_only_in_tasks(loop: Loop) -> None:
    def default_int_handler(number: int, frame: object) -> None:
        # Between tasks the loop has half a frame in its hands. A script is the whole program.
        if loop.is_running_task or scope._turns is not None:
            raise KeyboardInterrupt

    # In a worker it is *the* default handler: asyncio and others look whether it is in place, and
    # a task that returns it names the host's own.
    default_int_handler.__module__, default_int_handler.__qualname__ = (
        "_signal",
        "default_int_handler",
    )
    for module in (_signal, sys.modules.get("signal")):
        if module is not None:
            vars(module)["default_int_handler"] = default_int_handler
    _signal.signal(_signal.SIGINT, default_int_handler)


def _receive_fds(control: _socket.socket, count: int) -> list[int]:
    fds: list[int] = []
    while len(fds) < count:
        n_read, descriptors = receive(control, memoryview(bytearray(1)))
        if not n_read:
            posix._exit(1)
        fds.extend(descriptor.take() for descriptor in descriptors)
    return fds


def _stand_in_for_main(attributes: dict[str, Any]) -> None:
    """Have a main module that says what the host's says of itself; nothing of `-c` is left."""
    module = type(sys)("__main__")
    module.__dict__.update(attributes)
    sys.modules["__main__"] = module
    codec.is_stand_in = True


def _initialize(
    hello: dict[str, Any],
    fds: list[int],
    inherited: tuple[Callable[..., object], tuple[object, ...]] | None,
) -> None:
    of_data, of_initializer = hello.get("n_carried", (0, 0))
    n_inherited = len(fds) - of_data - of_initializer
    carried = [Descriptor(fd) for fd in fds[n_inherited:]]
    del fds[n_inherited:]
    if hello["worker_data"] is not None:
        payload, buffers = hello["worker_data"]
        scope.worker_data = codec.unpack(payload, writable(buffers), carried[:of_data])
    if hello["initializer"] is not None:
        from webworker_executor.wire.inherit import unpack_inheritable

        inherited = unpack_inheritable(hello["initializer"], fds, carried[of_data:])  # type: ignore[assignment]  # the host packed a pair
    if inherited is not None:
        initializer, initargs = inherited
        codec.is_initialized = True
        initializer(*initargs)
        main = sys.modules.get("__main__")
        codec.names_of_initializer = frozenset(getattr(main, "__dict__", ()))


def _report_initializer(loop: Loop, exc: BaseException) -> None:
    import logging

    # Told before it is logged, which takes as long as nobody reads standard error: the host waits
    # for the end of a process that has told, and forces it.
    loop.load_error(exc)
    # The stdlib's own words and logger, which programs look for.
    logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=exc)
