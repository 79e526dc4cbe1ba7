"""
Descriptors beside the bytes of a link. Imported by workers at their start, so it imports the least.

One read with the kernel's ``recvmsg`` costs 0.15 us more than a plain one; a plain one would
silently drop the descriptors that come with its bytes.
"""

from __future__ import annotations

import _socket
import posix
from _functools import partial  # type: ignore[import-not-found]  # typeshed has no stub for it
from _operator import call
from errno import EMFILE
from itertools import chain, compress, filterfalse, starmap, tee

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")
    Range = tuple[int, int]

# More than 64 KiB and their frame's header, less than what malloc maps anew each time.
READ_NBYTES = 98304
RIGHTS_NBYTES = _socket.CMSG_SPACE(253 * 4)
# Above 0-2, which a program may have closed and a child gets laid anew; above 3-5, where a worker
# finds its links: a descriptor that stands there already would be overwritten before it is copied.
LOWEST = 10
STANDARD_ERROR = 2


class Descriptor:
    """
    A descriptor with an owner: closed when it is dropped, unless somebody has taken it.

    Args:
        fd: Its number; owned by this object from here.
    """

    # A finalizer of C, which each has as a value: in one of Python a signal handler may raise, and
    # what it raises there is swallowed, and the descriptor stays open.
    __slots__ = ("__del__", "_held", "_pid")

    def __init__(self, fd: int) -> None:
        self._pid = posix.getpid()
        # Itself and the next one, as closerange(2) takes them, which minds none that is closed.
        self._held: list[Range] = [] if fd < 0 else [(fd, fd + 1)]
        self._guard()

    def _guard(self) -> None:
        # In a forked copy of the process the number may be another's by now: a forked worker closes
        # all that was its host's before it opens anything of its own.
        is_ours = map(self._pid.__eq__, starmap(posix.getpid, ((),)))
        self.__del__ = partial(any, _closing(compress(self._held, is_ours)))

    def __repr__(self) -> str:
        return f"<Descriptor {self._held[0][0]}>" if self._held else "<Descriptor taken>"

    @classmethod
    def copy_of(cls, fd: int) -> Descriptor:
        """
        Duplicate somebody else's descriptor.

        Raises:
            OSError: It is not open, or no descriptor is left.
        """
        import fcntl

        return cls.owning(map(fcntl.fcntl, (fd,), (fcntl.F_DUPFD_CLOEXEC,), (LOWEST,)))

    @classmethod
    def owning(cls, opened: Iterator[int]) -> Descriptor:
        """
        Own what an iterator of C opens.

        Raises:
            OSError: As it does.
        """
        owner = cls(-1)
        numbers, same = tee(opened)
        # Within C, as below: it has its owner from the first moment.
        owner._held.extend(zip(numbers, map((1).__add__, same), strict=True))
        return owner

    @classmethod
    def to_send(cls, fd: int) -> Descriptor:
        """
        Duplicate somebody else's descriptor, to be sent; a forked copy of this process has none.

        Raises:
            OSError: As ``copy_of``.
        """
        descriptor = cls.copy_of(fd)
        descriptor.passes()
        return descriptor

    def passes(self) -> None:
        """Have no forked copy of this process keep it: it is on its way, from here or to here."""
        _passing.update(self._held)

    def stays(self) -> None:
        """Have a forked copy of this process keep it, as all that is the program's own."""
        _passing.difference_update(self._held)

    def fileno(self) -> int:
        """
        Return its number, which stays this object's.

        Raises:
            ValueError: It was taken.
        """
        held = self._held
        if not held:
            raise ValueError("this descriptor was taken already")
        return held[0][0]

    def take(self) -> int:
        """
        Return its number, to be closed by the caller.

        Raises:
            ValueError: It was taken.
        """
        fd, held = self.fileno(), self._held
        self.stays()
        # The last step, and no call: whoever is interrupted before it still owns the descriptor.
        del held[:]
        return fd

    def hand_to(self, make: Callable[[int], T]) -> T:
        """
        Make what owns it from here, in a single step.

        Args:
            make: A function of C, called with the number.

        Raises:
            ValueError: It was taken.
            Exception: What ``make`` raises; it stays this object's.
        """
        fd, held = self.fileno(), self._held
        self.stays()
        # Within C: a signal handler that raised in between would leave it with two owners, or none.
        made: Any = list(map(call, (partial(make, fd), held.clear)))
        return made[0]  # type: ignore[no-any-return]  # what was made

    def closing(self) -> tuple[Callable[[], object], ...]:
        """Return functions of C which close it, if they are called in one step."""
        # The finalizer finds nothing then.
        return self.__del__, self._held.clear

    def close(self) -> None:
        """Close it; nothing happens if it was taken or closed."""
        if self._pid != posix.getpid():
            self._held.clear()
        try:
            # Within C: what was taken out is closed, though a signal handler raises.
            any(_closing(iter(self._held.pop, None)))
        except IndexError:
            return


def pipe(flags: int = 0) -> tuple[Descriptor, Descriptor]:
    """
    Open a pipe, close-on-exec, both ends at or above ``LOWEST``.

    Args:
        flags: More flags of pipe2(2).

    Returns:
        The end to read from, and the one to write to.

    Raises:
        OSError: No descriptor is left; nothing stays open.
    """
    ends = Descriptor(-1), Descriptor(-1)
    opened = chain.from_iterable(map(posix.pipe2, (flags | posix.O_CLOEXEC,)))
    numbers, same = tee(opened)
    ranges = zip(numbers, map((1).__add__, same), strict=True)
    # Within C: they have their owners from the first moment.
    any(map(call, [end._held.append for end in ends], ranges))
    reading, writing = (
        end if end.fileno() >= LOWEST else Descriptor.copy_of(end.fileno()) for end in ends
    )
    return reading, writing


def _closing(ranges: Iterable[Range]) -> Iterator[None]:
    # Forgotten before it is closed: afterwards the number may be another's, which passes, too.
    return starmap(posix.closerange, filterfalse(_passing.discard, ranges))


# What was on its way when a program was forked would stay open in the copy for as long as that
# lives, and the other side of a port would never hear of its end.
_passing: set[Range] = set()


def _forget_what_travels() -> None:
    """In a forked copy of the process: close what only passes through the original."""
    while _passing:
        posix.closerange(*_passing.pop())


posix.register_at_fork(after_in_child=_forget_what_travels)


def receive(
    end: _socket.socket, vacancy: memoryview | None = None, flags: int = 0
) -> tuple[Any, list[Descriptor]]:
    """
    Read once, bytes and descriptors.

    Args:
        end: An ``AF_UNIX`` socket.
        vacancy: Where the bytes go, or ``None`` for at most ``READ_NBYTES`` in an object of theirs.
        flags: More flags of recvmsg(2).

    Returns:
        The bytes (or their number, with a vacancy), and what descriptors came with them,
        close-on-exec.

    Raises:
        BlockingIOError: Nothing is there and the socket does not block.
        OSError: ``EMFILE`` if descriptors came for which this process has no room: they are lost.

    Source: recvmsg(2), unix(7), ``SCM_RIGHTS``.
    """
    flags |= _socket.MSG_CMSG_CLOEXEC
    if vacancy is None:
        received = end.recvmsg(READ_NBYTES, RIGHTS_NBYTES, flags)
        if not received[1] and not received[2] & _socket.MSG_CTRUNC:
            # As most are, and without one more call.
            return received[0], []
        return unwrapped(received)
    return unwrapped(end.recvmsg_into([vacancy], RIGHTS_NBYTES, flags))


def unwrapped(
    received: tuple[Any, list[tuple[int, int, bytes]], int, Any],
) -> tuple[Any, list[Descriptor]]:
    """Give what ``recvmsg`` returned owners; returns and raises as ``receive``."""
    data, rights, flags, _ = received
    if not rights and not flags & _socket.MSG_CTRUNC:
        return data, []
    fds = above_streams([Descriptor(number) for number in numbers_in(rights)])
    if flags & _socket.MSG_CTRUNC:
        raise no_room()
    return data, fds


def above_streams(fds: list[Descriptor]) -> list[Descriptor]:
    """
    Put duplicates in the place of descriptors that have the number of a standard stream.

    A program that has closed its own would otherwise print into what came.

    Args:
        fds: Those that came; whoever lets go of the list closes what was duplicated.

    Raises:
        OSError: No descriptor is left.
    """
    return [
        Descriptor.copy_of(fd._held[0][0]) if fd._held and fd._held[0][0] <= STANDARD_ERROR else fd
        for fd in fds
    ]


def no_room() -> OSError:
    """Make the error of a read that brought more descriptors than this process may have."""
    return OSError(EMFILE, "descriptors came for which this process has no room")


def numbers_in(rights: Iterable[tuple[int, int, bytes]]) -> array[int]:
    """Return the numbers of the descriptors in what ``recvmsg`` calls ancillary data; not owned."""
    from array import array

    numbers = array("i")
    for _, _, raw in rights:
        # The kernel may have cut the last one off.
        numbers.frombytes(raw[: len(raw) - len(raw) % numbers.itemsize])
    return numbers
