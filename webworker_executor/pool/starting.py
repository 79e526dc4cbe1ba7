"""
What is settled before the first worker starts: counts, contexts, launchers, and what workers bring.
"""

from __future__ import annotations

import logging
import operator
import os
import threading
from collections.abc import Iterable
from pickle import PicklingError

from webworker_executor.link.fds import lift_all
from webworker_executor.pool.birth import Birth
from webworker_executor.web.blame import point_out
from webworker_executor.web.launchers import find_launcher as find_named
from webworker_executor.wire import codec
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import for_workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.context import BaseContext
    from typing import Any, TypeVar

    T = TypeVar("T")

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.wire.codec import Packed
    from webworker_executor.wire.transfer import Parcel

__all__ = ["Birth", "Preparation"]

_FORK_AND_MAX_TASKS = (
    "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; supply a "
    "different mp_context."
)
# The kernel does not let anybody set its limit lower than this.
_SURELY_POSSIBLE = 300
_LAUNCHER_OF_METHOD = {"spawn": "spawn", "forkserver": "zygote", "fork": "fork"}

_log = logging.getLogger("webworker_executor.pool")


def count_workers(max_workers: int | None) -> int:
    """
    Return how many workers there may be.

    Raises:
        ValueError: Not positive, or more than the kernel could ever run.
        TypeError: No integer.
    """
    if max_workers is None:
        count: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
        return count() or 1
    if max_workers <= 0:
        raise ValueError("max_workers must be greater than 0")
    n_workers = operator.index(max_workers)
    if n_workers > _SURELY_POSSIBLE:
        _check_against_kernel(n_workers)
    return n_workers


def _check_against_kernel(count: int) -> None:
    """Refuse more workers than there can be processes: each has a place, and places take memory."""
    try:
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            limit = int(file.read())
    except OSError:
        # No /proc is mounted: the most that any Linux has.
        limit = 1 << 22
    if count > limit:
        raise ValueError(
            f"max_workers is {count}, and this kernel has at most {limit} processes at a time "
            "(/proc/sys/kernel/pid_max). Ask for as many as there are CPUs, or leave it out"
        )


def check_options(
    initializer: object, initargs: object, on_crash: object, env: object, name: object
) -> None:
    """
    Refuse options that cannot work.

    Raises:
        TypeError: An option has the wrong type.
        ValueError: An option has a value that it cannot have.
    """
    if initializer is not None and not callable(initializer):
        raise TypeError("initializer must be a callable")
    if initializer is not None and not isinstance(initargs, Iterable):
        # Without an initializer the standard library does not look at them either.
        raise TypeError(f"initargs must be a tuple, such as ({initargs!r},), not {initargs!r}")
    if on_crash not in {"replace", "break"}:
        raise ValueError(f"on_crash must be 'replace' or 'break', not {on_crash!r}")
    if not isinstance(name, str):
        raise TypeError(f"name must be a text, not {shown(name)}")
    if env is not None:
        # Here, because most have none.
        from webworker_executor.launch.limits import check_env

        check_env(env)


def find_context(
    mp_context: BaseContext | str | None, max_tasks_per_child: int | None
) -> BaseContext:
    """
    Return the context that programs may look for, as the stdlib picks it.

    Raises:
        ValueError: There is no such start method.
        TypeError: This is no context.
    """
    # Here, because few ask for a context, and it takes 5 ms.
    import multiprocessing

    if isinstance(mp_context, str):
        return multiprocessing.get_context(mp_context)
    if mp_context is not None:
        if not hasattr(mp_context, "get_start_method"):
            raise TypeError(
                "mp_context must be a multiprocessing context or the name of a start method, not "
                f"{type(mp_context).__name__}"
            )
        return mp_context
    if max_tasks_per_child is not None:
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context()


def find_launcher(
    mp_context: BaseContext | str | None,
    launcher: str | Launcher | None,
    max_tasks_per_child: int | None,
    env: Mapping[str, str] | None = None,
) -> Launcher:
    """
    Return the launcher that was asked for.

    Raises:
        ValueError: There is none of that name, or two were asked for.
        TypeError: This is no launcher.
    """
    if mp_context is not None and launcher is not None:
        raise ValueError("give mp_context or launcher, not both: each says how workers start")
    if mp_context is not None:
        method = find_context(mp_context, None).get_start_method()
        launcher = _LAUNCHER_OF_METHOD[method]
        if launcher == "fork" and max_tasks_per_child is not None:
            raise ValueError(_FORK_AND_MAX_TASKS)
    # One with an environment of its own is started in that.
    return find_named("spawn" if launcher is None else launcher, is_shared=env is None)


class Preparation:
    """
    What is packed once, at the first task, for every worker to bring along.

    Args:
        birth: Where it goes.
        initializer: Called in each worker.
        initargs: With these.
        worker_data: Copied into each worker.
    """

    def __init__(
        self,
        birth: Birth,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
        worker_data: object,
    ) -> None:
        self._birth = birth
        self._initializer = initializer
        self._initargs = initargs
        self._worker_data = worker_data
        # By process, they guard the packing: a copy that is forked meanwhile does not have the
        # thread that would give the lock back. A user's __reduce__ may come back here.
        self._locks: dict[int, threading.RLock] = {}
        self.is_done = False

    def do(self) -> None:
        """
        Pack.

        Raises:
            Exception: What packing the initializer, its arguments or the data raises, with a note
                that names which.
        """
        with self._locks.setdefault(os.getpid(), threading.RLock()):
            if self.is_done:
                return
            birth = self._birth
            if self._worker_data is not None:
                try:
                    packed = _pack_data(self._worker_data)
                except Exception as error:
                    point_out(error, {"worker_data": self._worker_data}, _pack_data)
                    raise
                birth.worker_data = packed.payload, packed.buffers
                birth.carried = packed.fds, ()
            if self._initializer is not None:
                self._pack_initializer(birth)
            self.is_done = True

    def _pack_initializer(self, birth: Birth) -> None:
        from webworker_executor.wire.inherit import ForkInheritanceOnly

        call = (self._initializer, tuple(self._initargs))
        if not birth.launcher.shares_memory:
            try:
                payload, fds, carried = _pack_call(call)
                birth.carried = birth.carried[0], carried
                birth.initializer, birth.initializer_fds = payload, lift_all(fds)
            except ForkInheritanceOnly as error:
                _log.info("workers are forked, because initargs can only be inherited: %s", error)
                birth.launcher = find_named("fork")
            except Exception as error:
                parts = {"initargs": call[1], "initializer": call[0]}
                point_out(error, parts, _pack_call)
                raise
        if birth.launcher.shares_memory:
            birth.inherited = call


def _pack_data(value: object) -> Packed:
    """Pack what each worker gets a copy of."""
    packed = _of_many(lambda: codec.pack(value, parcel=for_workers))
    if packed.parcel is not None:
        _check_that_nothing_moves(packed.parcel)
    return packed


def _pack_call(value: object) -> tuple[bytes, list[int], list[Any]]:
    """Pack what each worker calls; with descriptors that it inherits, and those that it is sent."""
    from webworker_executor.wire.inherit import pack_inheritable

    parcel = for_workers()
    try:
        payload, fds = _of_many(lambda: pack_inheritable(value, parcel))
    except BaseException:
        parcel.settle()
        raise
    _check_that_nothing_moves(parcel)
    return payload, fds, parcel.fds


def _of_many(pack: Callable[[], T]) -> T:
    """Pack, and say of a port why it cannot go: the advice to list it leads nowhere here."""
    try:
        return pack()
    except PicklingError as error:
        port = getattr(error, "part", None)
        if type(port).__name__ != "MessagePort":
            raise
        from webworker_executor.errors import DataCloneError

        raise DataCloneError(
            f"{port!r} has one holder, and an executor has many workers. Give it to one: as "
            "an argument of a task, or executor.workers[i].post_message(port, [port])",
            port,
        ) from None


def _check_that_nothing_moves(parcel: Parcel) -> None:
    """Refuse what would go to the first worker alone."""
    moves = parcel.commits or parcel.conditions or parcel.rollbacks
    if not moves:
        parcel.commit()
        return
    parcel.settle()
    from webworker_executor.errors import DataCloneError

    raise DataCloneError(
        "something in it moves to whoever gets it, and an executor has many workers. Give it to one"
    )
