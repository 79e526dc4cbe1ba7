"""
Turn values into bytes and back.

For: one value, packed as a pickle and the large buffers that stay outside it. Both sides of every
link use it.
Not for: callables that are sent once and then named (`definition`), objects that only a new process
may inherit (`inherit`), exceptions with their traceback (`failure`), and it never touches a
descriptor.
A changer must know: every task of every pool goes through `pack` and `unpack`, and a worker imports
this module before it can say hello. Anything slower than a C pickler, or heavier than `_pickle`,
belongs behind the fallback in `by_value`.
"""

from __future__ import annotations

import sys
from _pickle import PicklingError, dumps, loads
from sys import maxsize

from webworker_executor.wire import by_name
from webworker_executor.wire.apart import (
    OUT_OF_BAND,
    copied,
    keep_apart,
    release,
    with_bulk_apart,
)
from webworker_executor.wire.transfer import current_parcel, packing_with, unpacking_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pickle import PickleBuffer
    from typing import Any

    from webworker_executor.wire.apart import Shelf
    from webworker_executor.wire.place import Place
    from webworker_executor.wire.transfer import Parcel

    ParcelMaker = Callable[[], Parcel]

__all__ = ["OUT_OF_BAND", "Packed", "Pending", "after_fork", "pack", "pack_by_value", "unpack"]

half_imported: set[str] = set()
"""Modules whose classes or functions came here by value because the sender was still importing
them. The plain pickler would import such a module to look for a name in it, and so run the very
body that is waiting for our answer."""

is_fork = False
"""Whether this process was forked from its host, and so has the host's `__main__`."""

at_fork: dict[str, object] = {}
"""The globals of `__main__` as a forked worker found them."""

is_stand_in = False
"""Whether `__main__` here stands for the host's, so that what comes from that is found in it."""

names_of_initializer: frozenset[str] = frozenset()
"""What stood in `__main__` when this process's initializer had run, if it has one."""

is_initialized = False
"""Whether an initializer has run here, which may have changed what globals of `__main__` hold."""

generation = 0
"""How many workers stand between this process and the program that nobody here started."""


def after_fork() -> None:
    """
    Tell this module that the process is a forked worker. Call it in the child, before anything is
    unpacked.
    """
    global is_fork, is_stand_in
    is_fork = is_stand_in = True
    by_name.after_fork()
    # Of programs that put something else in its place, or nothing, no function can be found there.
    at_fork.update(getattr(sys.modules.get("__main__"), "__dict__", {}))
    for name in ("forks", "origin"):
        module = sys.modules.get(f"webworker_executor.wire.{name}")
        if module is not None:
            module.after_fork()


class Packed:
    """
    One value as bytes.

    Attributes:
        parcel: ``None``, unless it is `Pending`.
        payload: The pickle.
        buffers: What belongs to the payload but stays outside it, in the pickle's order, each at
            least `OUT_OF_BAND` bytes long: bytes, or their places on a shelf. They are copies: the
            caller may change the original at once.
        fds: The descriptors that go along, see `transfer`.

    Source: PEP 574.
    """

    __slots__ = ("buffers", "fds", "payload")
    parcel: Parcel | None = None

    def __init__(
        self, payload: bytes, buffers: Sequence[bytes | Place], fds: Sequence[Any] = ()
    ) -> None:
        self.payload = payload
        self.buffers = buffers
        self.fds = fds

    def __repr__(self) -> str:
        nbytes = sum(map(len, self.buffers))
        return f"<Packed {len(self.payload)} B + {len(self.buffers)} buffers of {nbytes} B>"


class Pending(Packed):
    """
    A value as bytes, whose parcel waits until it goes.

    Attributes:
        parcel: To be committed where it goes, or settled where it does not.
    """

    __slots__ = ("parcel",)
    if TYPE_CHECKING:
        parcel: Parcel


# The opcode STACK_GLOBAL, by which protocol 5 names whatever it names. To look for one byte takes a
# tenth of the time of looking for a name.
_NAMES_SOMETHING = b"\x93"
# A plain pickler takes a connection's descriptor for a number.
_CONNECTION = b"multiprocessing.connection"
# Values that hold nothing else: what many tasks are given, and return.
_PLAIN = frozenset({type(None), bool, int, float, complex, str})
# In a dict with more items, to look at each costs as much as it saves.
_FEW = 8


def pack_plain(value: object) -> bytes | None:
    """
    Pack a number, a text or a few of them in a dict, as most messages are.

    Args:
        value: Anything.

    Returns:
        The pickle; ``None`` if there may be more in it, which `pack` sees to.
    """
    kind = type(value)
    if kind in _PLAIN or (kind is dict and _is_plain_dict(value)):
        return dumps(value, 5)
    return None


def pack(
    value: object,
    *,
    to_host: bool = False,
    parcel: ParcelMaker | None = None,
    shelf: Shelf | None = None,
) -> Packed:
    """
    Pack a value.

    The plain pickler comes first. What it cannot do, and what lives in `__main__`, which the other
    process does not have, is done again by value.

    Args:
        value: Anything that pickle or cloudpickle takes.
        to_host: The reader is the process that started this one. Then what came from there by value
            goes back by reference: shorter, and an instance of a class of the host's `__main__` is
            one there again even if the class's state here no longer pickles. Without it such a
            class is sent in full, and is still recognised.
        parcel: Makes a parcel for the descriptors of what no pickle can hold, if there is such a
            thing in the value; without it such a value fails.
        shelf: Puts large buffers into memory that the reader sees, if it has room: given views of
            them, it returns their places, or None. Only for a link that lends memory.

    Returns:
        The pickle, its large buffers and its descriptors.

    Raises:
        PicklingError: As the stdlib's pickler, for a value that no pickler takes.
        TypeError: The same.
        AttributeError: The same.
        Exception: Whatever the value's own hooks (`__reduce__`, `__getstate__`) raise.

    Source: PEP 574 for the buffers; ProcessPoolExecutor for the errors.
    """
    kind = type(value)
    # Of any other kind neither of the two that look into it has anything to say.
    has_parts = kind is tuple or kind is bytes or kind is bytearray
    limit = OUT_OF_BAND if shelf is not None else maxsize
    if (
        kind in _PLAIN
        or (has_parts and _is_plain(value, limit))
        or (kind is dict and _is_plain_dict(value))
    ):
        # No need to look for names in the pickle, which costs more than the pickle from 1 KiB up.
        return Packed(dumps(value, 5), [])
    # Whoever packs within the packing of another message, as a signal handler may, or a hook, would
    # put what goes along into the parcel of that.
    if half_imported or current_parcel() is not None:
        return pack_by_value(value, to_host=to_host, parcel=parcel, shelf=shelf)
    buffers: list[memoryview] = []
    read_only: list[object] = []

    def is_in_band(buffer: PickleBuffer) -> bool:
        return keep_apart(buffer, buffers, read_only)

    try:
        given = _arrays_apart(value) if "numpy" in sys.modules else None
        if given is not None:
            payload = dumps(given, 5, buffer_callback=is_in_band)
            return Packed(payload, copied(buffers, shelf) if buffers else [])
        given = with_bulk_apart(value) if has_parts and shelf is not None else value
        payload = dumps(given, 5, buffer_callback=is_in_band)
        if read_only:
            payload = _dumps_writable(given, buffers)
        if not buffers and _NAMES_SOMETHING not in payload:
            # What most values are: neither class nor function, of __main__ or elsewhere.
            return Packed(payload, [])
        if by_name.names_unreachable(payload, to_host=to_host):
            payload = b"_main__"
        if buffers and b"_main__" not in payload and _CONNECTION not in payload:
            return Packed(payload, copied(buffers, shelf))
    except (PicklingError, TypeError, AttributeError):
        # Only these can mean "by name it will not go"; a hook that raised anything else would
        # raise it again.
        payload = b"_main__"
    finally:
        if buffers:
            # An exception keeps this frame, and would keep the user's memory from being resized.
            release(buffers)
    if buffers or b"_main__" in payload or (parcel is not None and _CONNECTION in payload):
        # Also `__mp_main__`, as which multiprocessing's own spawned children know it. Out here,
        # because the first pickler's error is no part of the story: the second stumbles over the
        # same object, in the same words, or else over the one that really stands in the way.
        return pack_by_value(value, to_host=to_host, parcel=parcel, shelf=shelf)
    return Packed(payload, [])


def _arrays_apart(value: object) -> object | None:
    # Here, because a worker must not import it at its start.
    from webworker_executor.wire.array import laid_out

    return laid_out(value, _PLAIN)


def _reducers_of_arrays() -> dict[type, Callable[[Any], Any]]:
    if "numpy" not in sys.modules:
        return {}
    from webworker_executor.wire.array import reducers

    return reducers()


def _dumps_writable(value: object, buffers: list[memoryview]) -> bytes:
    from webworker_executor.wire.array import dumps_writable

    release(buffers)
    buffers.clear()
    return dumps_writable(value, lambda buffer: keep_apart(buffer, buffers))


def _is_plain(value: object, limit: int) -> bool:
    for item in value if type(value) is tuple else (value,):
        kind = type(item)
        if kind not in _PLAIN and (kind is not bytes or len(item) >= limit):
            return False
    return True


def _is_plain_dict(value: Any) -> bool:
    if len(value) > _FEW:
        return False
    for key, item in value.items():
        if type(item) not in _PLAIN or type(key) not in _PLAIN:
            return False
    return True


def pack_by_value(
    value: object,
    *,
    to_host: bool = False,
    parcel: ParcelMaker | None = None,
    shelf: Shelf | None = None,
) -> Packed:
    """
    Pack a value with the pickler that can send functions and classes themselves, not only their
    names.

    Args:
        value: Anything that cloudpickle takes.
        to_host: As for `pack`.
        parcel: As for `pack`.
        shelf: As for `pack`.

    Returns:
        The pickle, its large buffers and its descriptors.

    Raises:
        Exception: As `pack`.
    """
    if "cloudpickle" not in sys.modules and current_parcel() is None:
        packed = _pack_plainly(value, to_host=to_host, shelf=shelf)
        if packed is not None:
            return packed
    # Here, because it costs 25 ms to import cloudpickle, and most programs never need it.
    from webworker_executor.wire.by_value import dumps_by_value

    buffers: list[memoryview] = []

    def is_in_band(buffer: PickleBuffer) -> bool:
        return keep_apart(buffer, buffers)

    bag = None if parcel is None else parcel()
    try:
        try:
            reducers = _reducers_of_arrays()
            if bag is not None:
                reducers |= bag.reducers()
            payload = packing_with(bag).run(
                dumps_by_value, value, is_in_band, to_host=to_host, more_reducers=reducers
            )
            copies = copied(buffers, shelf) if buffers else []
        finally:
            release(buffers)
        if bag is None:
            return Packed(payload, copies)
        if bag.waits:
            pending = Pending(payload, copies, bag.fds)
            # No call stands between this and the block of who asked for it.
            pending.parcel = bag
            return pending
        packed = Packed(payload, copies, bag.fds)
        bag.commit()
        return packed
    except BaseException:
        if bag is not None:
            bag.settle()
        raise


def _pack_plainly(value: object, *, to_host: bool, shelf: Shelf | None) -> Packed | None:
    from webworker_executor.wire.departure import dumps_plainly

    buffers: list[memoryview] = []
    read_only: list[object] = []

    def is_in_band(buffer: PickleBuffer) -> bool:
        return keep_apart(buffer, buffers, read_only)

    try:
        payload = dumps_plainly(value, is_in_band, to_host=to_host)
        if payload is None or read_only or _CONNECTION in payload:
            return None
        return Packed(payload, copied(buffers, shelf) if buffers else [])
    finally:
        release(buffers)


def unpack(
    payload: bytes | bytearray | memoryview,
    buffers: Iterable[object] = (),
    fds: Sequence[object] = (),
) -> object:
    """
    Unpack a value.

    Args:
        payload: The pickle, from `Packed.payload`.
        buffers: The memory that `Packed.buffers` held or named, in the same order. Objects that
            share memory, such as arrays, keep them and are writable if these are.
        fds: The descriptors that came along. What nobody takes is dropped, and so closed.

    Returns:
        A value equal to the packed one.

    Raises:
        UnpicklingError: For what is no pickle.
        Exception: Whatever importing and building the parts raises; the bytes come from a peer's
            user.
    """
    if fds:
        untaken = list(fds)
        try:
            return unpacking_with(untaken).run(loads, payload, buffers=buffers)
        finally:
            # Left in a list, they would stay open.
            untaken.clear()
    return loads(payload, buffers=buffers)
