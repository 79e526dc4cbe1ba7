"""
The control thread of a worker: it dies with its host and gives work back.

It waits on the control link while the main thread runs tasks. The end of that link is the end of
the host, and then the worker ends at once; ``PR_SET_PDEATHSIG`` does the same where a task holds
the interpreter in C code and this thread cannot run.
"""

from __future__ import annotations

import _thread
import posix
from _struct import Struct

from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import RECALL, TO_WORKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1
SIGKILL = 9
COUNT = Struct(">I")
READ_NBYTES = 4096


def start(control: _socket.socket, give_back: Callable[[int], object]) -> None:
    """
    Start the thread.

    Args:
        control: The control link; the thread owns it.
        give_back: Called with a count, returns that many of the tasks that have not begun.
    """
    _thread.start_new_thread(_watch, (control, give_back))


def _watch(control: _socket.socket, give_back: Callable[[int], object]) -> None:
    try:
        decoder = FrameDecoder(TO_WORKER)
        while True:
            try:
                data = control.recv(READ_NBYTES)
            except BlockingIOError:
                # A task made the socket non-blocking.
                control.setblocking(True)
                continue
            if not data:
                break
            for frame in decoder.feed(data):
                if frame.kind == RECALL:
                    give_back(COUNT.unpack(frame.payload)[0])
    finally:
        # The host is gone, or this link is not to be trusted any more. Either way nobody waits for
        # what the main thread does, and it may never notice.
        posix._exit(1)


def die_with_parent(parent: int) -> None:
    """
    Ask the kernel to kill this process when its parent dies, also while it is busy in C.

    Where ``_ctypes`` is missing the end of the control link has to do.

    Source: prctl(2), ``PR_SET_PDEATHSIG``.
    """
    try:
        # `ctypes` itself takes twice the time to import and does no more for one call.
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the program itself
        prctl = _ctypes.dlsym(program, "prctl")
        _ctypes.call_function(prctl, (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
    except (ImportError, OSError, AttributeError):
        return
    # It may have died before the kernel was asked; then this process has another parent by now.
    if posix.getppid() != parent:
        posix._exit(1)
