"""
A witness tells of a worker's Python stacks, whatever state the worker is in.

The worker has had ``faulthandler`` write them into a pipe of ours when it gets a signal, or when it
dies of one. That is done by a handler in C, so that it also works while the worker's main thread is
stuck in C, with the interpreter's lock in its hands or without.

The worker's control thread is asked first, and signals itself: a signal for the whole process goes
to the main thread, where it would end what a task waits for in C, ``signal.pause`` for one. Only of
a worker that does not even hear of that the host signals the process; what holds the interpreter's
lock hardly waits for anything.

What a changer must know: the handler says nothing when it is through, but the kernel does, for the
thread that runs it blocks the signal meanwhile. To send a second signal and to wait for the second
dump, instead, would mix the two, for the kernel has another thread handle it. The pipe does not
block its writer: a worker is never held up, and a dump that nobody reads is cut. All of it on the
reactor's thread.
"""

from __future__ import annotations

import os
import signal
import time

from webworker_executor.launch import procfs
from webworker_executor.link.journal import Journal
from webworker_executor.link.reactor import READ
from webworker_executor.link.rights import pipe
from webworker_executor.wire.dump import fatal_dump, thread_dump
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import SIGNAL, SIGNAL_ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from webworker_executor.link.reactor import Reactor, Timer
    from webworker_executor.wire.frame import Parts

    class Signalled(Protocol):
        """A process that can be sent signals."""

        pid: int

        def send_signal(self, number: int) -> None:
            """Send one."""


# What a process ignores that has no handler for it: one that has not come so far, or has become
# another program, is not killed by being asked. Python does nothing with it, and Go's runtime sends
# it to itself for the same reason.
ASK = signal.SIGURG
# How long a worker may take to hear of it, which takes a millisecond where it is not kept from it.
# A process that was starting may have missed the signal, too.
ASK_AGAIN_SECONDS = 0.1
# A dump takes about as long, and the last of it may have come a moment before its handler is over.
LOOK_AGAIN_SECONDS = 0.001
READ_NBYTES = 65536
# faulthandler stops at 100 threads of 100 frames; whoever writes more is not it.
MAX_NBYTES = 1 << 20

_log = Journal("webworker_executor.launch")


def find_witness(
    reactor: Reactor, title: object, post: Callable[[Parts], object]
) -> Witness | None:
    """
    Make a witness for a process, if there is room.

    Args:
        reactor: Who reads its pipe.
        title: What a reader knows the process by.
        post: Gives a frame to its control link.
    """
    try:
        return Witness(reactor, post)
    except OSError as error:
        _log.info("%s will not tell of its stacks: %s", title, error)
        return None


class Witness:
    """
    The stacks of one process.

    Args:
        reactor: Who reads the pipe.
        post: Gives a frame to the process's control link.

    Attributes:
        writer: What the process is to have; ``handed_over`` closes it here.

    Raises:
        OSError: No descriptor is left; nothing stays open.
    """

    def __init__(self, reactor: Reactor, post: Callable[[Parts], object]) -> None:
        self._reactor = reactor
        self._post = post
        # Made on any thread, where a signal handler may raise: they close themselves.
        self._reading, self._writing = pipe(os.O_NONBLOCK)
        self._reader, self.writer = self._reading.fileno(), self._writing.fileno()
        self._text = bytearray()
        self._askers: list[Callable[[str], object]] = []
        self._child: Signalled | None = None
        self._blockers: dict[str, int] = {}
        self._timer: Timer | None = None

    def handed_over(self) -> None:
        """Close what is the process's; nothing happens the second time."""
        self.writer = -1
        self._writing.close()

    def ask(self, child: Signalled, on_answer: Callable[[str], object]) -> None:
        """
        Ask for the stacks of all threads.

        Args:
            child: The process.
            on_answer: Called once with what came, maybe at once; with nothing if the process has
                ended. Not called after ``forget``.
        """
        if self._reader < 0:
            on_answer("")
            return
        self._askers.append(on_answer)
        if len(self._askers) > 1:
            # It has been asked, and what comes is for all who want to know.
            return
        self._drain()
        self._text.clear()
        self._child = child
        # Some may do so all the time; and one that has not begun blocks more than it will later.
        self._blockers = procfs.threads_blocking(child.pid, ASK)
        self._reactor.register(self._reader, READ, self._readable)
        until = time.monotonic() + ASK_AGAIN_SECONDS
        self._post(encode(SIGNAL, 0, SIGNAL_ORDER.pack(ASK, until)))
        self._look_in(ASK_AGAIN_SECONDS)

    def forget(self, on_answer: Callable[[str], object]) -> str:
        """Stop waiting for an answer; returns what there is of it."""
        if on_answer not in self._askers:
            return ""
        text = thread_dump(self._decoded())
        self._askers.remove(on_answer)
        if not self._askers:
            self._rest()
        return text

    def last_words(self) -> str | None:
        """Return what the process wrote when it died of a fault, ``None`` if it wrote nothing."""
        if self._reader >= 0:
            self._drain()
        return fatal_dump(self._decoded())

    def close(self) -> None:
        """Give the pipe back; whoever waits for an answer is told that none will come."""
        self.handed_over()
        if self._reader < 0:
            return
        self._answer(thread_dump(self._decoded()))
        # In this order: a copy of the program that is forked in between must not close it again.
        self._reader = -1
        self._reading.close()

    def disown(self) -> None:
        """In a forked copy of the host: close the copies of the descriptors."""
        self._askers.clear()
        if self.writer >= 0:
            os.close(self._writing.take())
        if self._reader >= 0:
            os.close(self._reading.take())
        self.writer = self._reader = -1

    def _readable(self, _: int) -> None:
        if self._drain():
            self._look_in(LOOK_AGAIN_SECONDS)
        else:
            # The process has ended, or has closed what it was given.
            self._answer(thread_dump(self._decoded()))

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.call_at(time.monotonic() + seconds, self._look)

    def _look(self) -> None:
        child = self._child
        if child is None:
            return
        blockers = procfs.threads_blocking(child.pid, ASK)
        is_under_way = not blockers.items() <= self._blockers.items()
        if self._text and not is_under_way:
            self._drain()
            self._answer(thread_dump(self._decoded()))
            return
        if not self._text and not is_under_way:
            child.send_signal(ASK)
        self._look_in(LOOK_AGAIN_SECONDS if self._text else ASK_AGAIN_SECONDS)

    def _answer(self, text: str) -> None:
        askers, self._askers = self._askers, []
        if askers:
            self._rest()
        for on_answer in askers:
            on_answer(text)

    def _rest(self) -> None:
        self._reactor.unregister(self._reader)
        self._child = None
        if self._timer is not None:
            self._timer.cancel()

    def _drain(self) -> bool:
        """Read what is there; False at the end of the pipe."""
        try:
            while True:
                data = os.read(self._reader, READ_NBYTES)
                if not data:
                    return False
                self._text += data
                del self._text[:-MAX_NBYTES]
        except BlockingIOError:
            return True

    def _decoded(self) -> str:
        return self._text.decode("utf-8", "replace")
