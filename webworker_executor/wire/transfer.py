"""
What travels beside a message: descriptors, and the slots left in their places.

For: things that no pickle can hold. While a message is packed, its ``Parcel`` collects their
descriptors; while it is unpacked, the code that a slot names takes them out again.
Not for: opening, duplicating or closing anything; a descriptor is an opaque object here.
A changer must know: what is moved has gone with its message or is kept, though a signal handler may
raise at any call. So one step of C decides (`Parcel.go`), and whoever packs or posts settles the
rest, whatever has happened. And objects find their parcel through `current_parcel`, because
``__reduce__`` has no argument for it. A plain pickler knows no parcel, so such an object refuses it
with a ``PicklingError``; `codec` then comes back with one. Values without such objects never pay
for it.
"""

from __future__ import annotations

from _contextvars import ContextVar, copy_context
from _functools import partial  # type: ignore[import-not-found]  # typeshed has no stub for it
from operator import call

from webworker_executor.wire.frame import MAX_FDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextvars import Context
    from typing import Any

    # A function of C: several of them, called in one step, are all called or none is.
    Step = Callable[[], object]

__all__ = [
    "Parcel",
    "Trial",
    "current_parcel",
    "for_call",
    "for_task",
    "for_workers",
    "learn_later",
    "on_trial",
    "packing_with",
    "present",
    "reducers",
    "taken",
    "unpacking_with",
]

# Of a thread, or of the asyncio task that it runs.
_parcel: ContextVar[Parcel | None] = ContextVar("webworker_parcel", default=None)
_fds: ContextVar[Any] = ContextVar("webworker_fds", default=None)

reducers: dict[type, Callable[[Parcel, Any], Any]] = {}
"""How objects of foreign types are packed, by exact type: called with the parcel and the object;
returns what a ``__reduce__`` would. Types of our own ask for `current_parcel` in ``__reduce__``."""


class Parcel:
    """
    What goes along with one message.

    Args:
        moved: Objects that the sender gives up, as in the ``transfer`` list of ``post_message``.
        moves_ports: Whether ports are given up though nobody listed them: as arguments and results
            of tasks they are values, and there is no list.
        waits: Whether the message goes later than it is packed, and whoever sends it commits.

    Attributes:
        fds: Their descriptors, in the order in which slots name them; each has a ``fileno`` and is
            closed when it is dropped.
        conditions: Functions of C that give up what may refuse to be given up, by raising; called
            before anything else, and in the step that decides.
        commits: Calls that make the sender's side of what was moved unusable; made when the
            message has gone. Each may be made again, where a signal handler has broken it off. All
            are functions of C, unless there is a port.
        rollbacks: Calls that give the sender back what was about to be moved; made instead of the
            commits when the message has not gone. The same holds of them.
        has_port: Whether a port is moved, which takes more than a step.
    """

    __slots__ = (
        "_gone",
        "_moved",
        "commits",
        "conditions",
        "fds",
        "has_port",
        "moves_ports",
        "rollbacks",
        "waits",
    )

    def __init__(
        self, moved: Iterable[object] = (), *, moves_ports: bool = False, waits: bool = False
    ) -> None:
        # By identity: a user's __eq__ has no say in this. The objects are held by their sender.
        self._moved = {id(item): item for item in moved}
        self.moves_ports = moves_ports
        self.waits = waits
        self.has_port = False
        self.fds: list[Any] = []
        self.conditions: list[Callable[[], object]] = []
        self.commits: list[Callable[[], object]] = []
        self.rollbacks: list[Callable[[], object]] = []
        self._gone: list[object] = []

    def is_moved(self, item: object) -> bool:
        """Whether an object was listed to be moved."""
        return id(item) in self._moved

    def move(self, item: object) -> None:
        """List an object to be moved, too."""
        self._moved[id(item)] = item

    def add(self, fd: object) -> int:
        """
        Put a descriptor in.

        Returns:
            The number by which a slot names it.

        Raises:
            ValueError: One message takes no more.
        """
        if len(self.fds) == MAX_FDS:
            raise ValueError(f"more than {MAX_FDS} descriptors in one message; send several")
        self.fds.append(fd)
        return len(self.fds) - 1

    def reducers(self) -> dict[type, Callable[[Any], Any]]:
        """Return how objects of foreign types are packed into this parcel."""

        def bound(reduce: Callable[[Parcel, Any], Any]) -> Callable[[Any], Any]:
            return lambda item: reduce(self, item)

        return {kind: bound(reduce) for kind, reduce in reducers.items()}

    def go(self) -> Sequence[Step]:
        """
        Return what decides that the message goes: functions of C, to be called in one step with its
        sending, and before it.

        One of them raises where something refuses to be given up.
        """
        return *self.conditions, partial(self._gone.append, True)

    def commit(self) -> None:
        """Give up what was moved: the message goes, or has gone."""
        if not self._gone:
            _ = [*map(call, self.go())]
        self.settle()

    def settle(self) -> None:
        """
        Give up what was moved if the message has gone, and else keep it.

        Made once more by whoever finds it broken off before it began.
        """
        try:
            self._settle()
        except BaseException:
            # By a signal handler.
            self._settle()
            raise

    def _settle(self) -> None:
        if self._gone:
            for commit in self.commits:
                commit()
            return
        for rollback in self.rollbacks:
            rollback()
        # The error of the failure keeps this object for as long as somebody looks at it.
        self.fds.clear()


class Trial(Parcel):
    """A parcel that goes nowhere: everything may be moved into it, and nothing is given up."""

    __slots__ = ()

    def is_moved(self, item: object) -> bool:
        """Say yes: whatever could be moved is tried."""
        return True

    def commit(self) -> None:
        """Give up nothing."""
        self.settle()


_lessons: list[Callable[[], object]] = []


def learn_later(lesson: Callable[[], object]) -> None:
    """Have ``reducers`` filled when a value comes that no plain pickler takes."""
    _lessons.append(lesson)


def for_call() -> Parcel:
    """Make the parcel of a task's arguments, which are given up when a pool takes it."""
    _learn()
    return Parcel(moves_ports=True, waits=True)


def for_task() -> Parcel:
    """Make the parcel of what a task returns or yields, or a worker is born with."""
    _learn()
    return Parcel(moves_ports=True)


def for_workers() -> Parcel:
    """Make the parcel of what each worker of a pool is born with: duplicates, and nothing moved."""
    _learn()
    return Parcel(waits=True)


def on_trial() -> Parcel:
    """Make a parcel to find out whether a value can be packed at all."""
    _learn()
    return Trial()


def _learn() -> None:
    for lesson in _lessons:
        lesson()


def current_parcel() -> Parcel | None:
    """Return the parcel of the message that this thread is packing, if it may have one."""
    return _parcel.get()


def packing_with(parcel: Parcel | None) -> Context:
    """
    Return where `current_parcel` is the one given, for whatever is run there.

    Not set and reset in the caller's own context: a signal handler that raised right after the one
    or before the other would leave the parcel there, and every later message would be packed into
    it.
    """
    context = copy_context()
    context.run(_parcel.set, parcel)
    return context


def unpacking_with(fds: list[Any] | tuple[Any, ...]) -> Context:
    """
    Return where `taken` takes from those given, for whatever is run there.

    What nobody took is the caller's to drop: the sender's kernel has duplicated them for us. Out of
    a tuple nothing can be taken, and what asks for that does not unpack.
    """
    context = copy_context()
    context.run(_fds.set, fds)
    return context


def present(slot: int) -> Any:
    """
    Return a descriptor of the message that this thread is unpacking, whose it stays.

    For what can be made of a duplicate: if it is broken off, the message is still whole.

    Args:
        slot: The number that `Parcel.add` gave.

    Raises:
        LookupError: It did not come along, or was taken.
    """
    fds = _fds.get() or ()
    fd = fds[slot] if 0 <= slot < len(fds) else None
    if fd is None:
        raise LookupError(
            f"descriptor {slot} of a message did not come along; it was unpacked twice, or by hand"
        )
    return fd


def taken(slot: int) -> Any:
    """
    Take a descriptor out of the message that this thread is unpacking.

    Args:
        slot: The number that `Parcel.add` gave.

    Raises:
        LookupError: It did not come along, or was taken.
        TypeError: Nothing is to be taken.
    """
    fd = present(slot)
    _fds.get()[slot] = None
    return fd
