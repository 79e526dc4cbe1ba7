"""
Pack what only a new process may inherit: the locks, queues, pipes and shared memory of
`multiprocessing`.

For: the initializer of a worker and its arguments, which travel once, with descriptors, before any
task.
Not for: the arguments of tasks. There these objects refuse to be packed, as in the stdlib.
A changer must know: `multiprocessing` asks a thread-local "spawning popen" for leave, and has it
pass descriptors. It is not public, but stable since 3.4; this module is the only place that leans
on it.
"""

from __future__ import annotations

import sys
from copyreg import dispatch_table
from io import BytesIO

from webworker_executor.wire import by_name
from webworker_executor.wire.codec import unpack
from webworker_executor.wire.transfer import packing_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.wire.transfer import Parcel

__all__ = ["ForkInheritanceOnly", "InheritedFd", "pack_inheritable", "unpack_inheritable"]

_arriving: list[Sequence[int]] = []


class ForkInheritanceOnly(TypeError):
    """
    An object of `multiprocessing`'s fork context cannot reach a worker that is not a fork of this
    process.
    """


class InheritedFd:
    """
    Stands in the pickle for a descriptor that goes beside it.
    """

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __reduce__(self) -> tuple[type[InheritedFd], tuple[int]]:
        return InheritedFd, (self.index,)

    def detach(self) -> int:
        """
        Give the descriptor to the caller, who closes it.

        Returns:
            The descriptor as it is numbered in this process.

        Raises:
            RuntimeError: If called at another time than while `unpack_inheritable` runs.
        """
        if not _arriving:
            raise RuntimeError(
                "An inherited descriptor was asked for after its message had been unpacked."
            )
        return _arriving[-1][self.index]


class _SharedTracker:
    """
    Stands for the resource tracker, in front of all that might start one when it is unpacked.
    """

    def __init__(self, index: int) -> None:
        self._index = index

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return _share_tracker, (self._index,)


class _Inheritance:
    """
    Plays the part of `multiprocessing.popen_spawn_posix.Popen` while a value is packed.
    """

    DupFd = InheritedFd

    def __init__(self) -> None:
        self.fds: list[int] = []

    def duplicate_for_child(self, fd: int) -> int:
        self.fds.append(fd)
        return len(self.fds) - 1


def pack_inheritable(value: object, parcel: Parcel | None = None) -> tuple[bytes, list[int]]:
    """
    Pack a value that may hold objects which only a new process inherits.

    Args:
        value: Usually a tuple of an initializer and its arguments.
        parcel: For descriptors of what a message may hold; without it such a value fails.

    Returns:
        The pickle, and the descriptors that go with it, in order. They are the value's own: it
        must be kept until the worker has unpacked it, or they are copied; and with the last
        semaphore object its name goes.

    Raises:
        ForkInheritanceOnly: If it holds an object of `multiprocessing`'s fork context. A forked
            worker can have it.
        PicklingError: For what no pickler takes.
        TypeError: The same.
        AttributeError: The same.

    Source: `multiprocessing.popen_spawn_posix`.
    """
    from multiprocessing.context import get_spawning_popen, set_spawning_popen

    inheritance = _Inheritance()
    before = get_spawning_popen()
    set_spawning_popen(inheritance)  # type: ignore[arg-type]  # all that is asked of it is here
    try:
        payload = packing_with(parcel).run(_dumps, value, inheritance, parcel)
    except Exception as error:
        found = _forked_only(error)
        if found is None:
            raise
        message = (
            f"{found} belongs to multiprocessing's fork context and cannot be passed to a worker "
            f"that is started as a new program. Make it with multiprocessing.get_context('spawn'), "
            f"or use launcher='fork'."
        )
        raise ForkInheritanceOnly(message) from error
    finally:
        set_spawning_popen(before)
    return payload, inheritance.fds


def _dumps(value: object, inheritance: _Inheritance, parcel: Parcel | None) -> bytes:
    from multiprocessing.reduction import ForkingPickler

    from webworker_executor.wire.array import reducers as of_arrays

    tracker = _tracker(inheritance)
    n_fds = len(inheritance.fds)
    # The callable itself may be one that cloudpickle was told to send by value.
    is_named = not (isinstance(value, tuple) and any(map(by_name.must_go_by_value, value)))
    reducers = {**of_arrays(), **ForkingPickler._extra_reducers}  # type: ignore[attr-defined]  # not public
    try:
        with BytesIO() as file:
            pickler = ForkingPickler(file, 5)
            pickler.dispatch_table = {**dispatch_table, **reducers}
            pickler.dump((tracker, value))
            payload = file.getvalue()
        if is_named and b"_main__" not in payload and not by_name.names_unreachable(payload):
            return payload
    except Exception as error:
        if _forked_only(error) is not None:
            raise
    del inheritance.fds[n_fds:]
    if parcel is not None:
        parcel.fds.clear()
    from webworker_executor.wire.by_value import dumps_by_value

    return dumps_by_value((tracker, value), more_reducers=reducers)


def _tracker(inheritance: _Inheritance) -> _SharedTracker | None:
    """
    Let the worker share this process's resource tracker, if there is one, as the stdlib's workers
    do.

    A worker with a tracker of its own would have it unlink, when the worker ends, the shared memory
    that it had only attached to (until Python 3.13), and warn of leaks that are none.
    """
    module = sys.modules.get("multiprocessing.resource_tracker")
    tracker = getattr(module, "_resource_tracker", None)
    if module is None or tracker is None or tracker._fd is None:
        return None
    return _SharedTracker(inheritance.duplicate_for_child(module.getfd()))


def _forked_only(error: BaseException) -> str | None:
    """
    Name the object of the fork context that an error is about.
    """
    text = str(error)
    if isinstance(error, RuntimeError) and "created in a fork context" in text:
        return "A lock, semaphore, event or queue"
    if isinstance(error, ValueError) and "forking was enabled" in text:
        return "Shared memory (Value, Array)"
    return None


def unpack_inheritable(
    payload: bytes | bytearray | memoryview, fds: Sequence[int], carried: Sequence[Any] = ()
) -> object:
    """
    Unpack what `pack_inheritable` packed, in the worker.

    Args:
        payload: The pickle.
        fds: The descriptors that came with it, in order. They belong to the objects that are built.
        carried: Those of its parcel.

    Returns:
        The value.

    Raises:
        Exception: Whatever importing and building the parts raises.
    """
    _arriving.append(fds)
    try:
        unpacked: Any = unpack(payload, (), carried)
        return unpacked[1]
    finally:
        _arriving.pop()


def _share_tracker(index: int) -> None:
    from multiprocessing import resource_tracker

    tracker: Any = resource_tracker._resource_tracker
    if tracker._fd is None:
        tracker._fd = _arriving[-1][index]
