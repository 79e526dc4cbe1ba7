"""
A submitted call: a task of the scheduler, with its bytes and its future.
"""

from __future__ import annotations

from functools import partial
from operator import call as call_it

from webworker_executor.link.memory import store
from webworker_executor.pool.future import WorkerFuture
from webworker_executor.pool.title import n_calls_of, name_of, stands_for_another, title_of
from webworker_executor.rules.task import Task
from webworker_executor.web.message import give_back
from webworker_executor.wire.definition import Definition, pack_call, suspect
from webworker_executor.wire.frame import cut_call, encode_call
from webworker_executor.wire.transfer import learn_later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from webworker_executor.wire.frame import Frame
    from webworker_executor.wire.transfer import Parcel, Step


def _learn_to_send_files() -> None:
    from webworker_executor.web.movable import movable

    movable()


learn_later(_learn_to_send_files)


class Call(Task):
    """
    One call of a user's function.

    Args:
        ident: The task's number in its pool.

    Attributes:
        future: Where the answer goes.
        parts: The frame to be sent.
        fds: The descriptors to go with it; kept as long as the task may be sent once more.
        definition: The callable that a worker must have before, or ``None``.
        n_calls: How many calls of what a user gave it makes: more than one if it is a chunk.
        is_packed: Whether all of that is there.
        is_posted: Whether the frame has been given to a link.
        answer: The frame that came for it, if a thread that waited has read it; after a torn step
            the future is resolved with it.
        parcel: What is given up when a pool takes the call, until it has been; ``None`` if nothing
            is.
    """

    __slots__ = (
        "_fn_name",
        "answer",
        "definition",
        "fds",
        "future",
        "is_packed",
        "is_posted",
        "n_calls",
        "parcel",
        "parts",
    )

    def __init__(self, ident: int) -> None:
        super().__init__(ident)
        self.is_packed = self.is_posted = False
        self.n_calls = 1
        self.answer: Frame | None = None
        self.parcel: Parcel | None = None
        self.future: WorkerFuture[Any] = WorkerFuture()

    def pack(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        """
        Pack what is to be called; on a call that is held, which knows what is to be given back.

        Args:
            fn: What to call.
            args: With these.
            kwargs: And these. All are packed here and now, so that later changes do not reach the
                task.

        Raises:
            Exception: What packing raises.
        """
        definition, shape, packed = pack_call(fn, args, kwargs, store.shelve)
        # First: no call stands between this and the packing.
        self.parcel = packed.parcel
        if definition is None:
            suspect(fn, packed)
        number = 0 if definition is None else definition.ident
        self.definition: Definition | None = definition
        self.fds = packed.fds
        self.parts = encode_call(
            self.ident, number, shape, packed.payload, packed.buffers, len(packed.fds)
        )
        # Known before it is submitted: its worker may die before `submit` has returned. A callable
        # that is sent once is kept there anyway; any other is not to be kept alive.
        is_kept = definition is not None and not stands_for_another(fn)
        self._fn_name = None if is_kept else title_of(fn, args)
        if not is_kept:
            self.n_calls = n_calls_of(fn, args)
        elif definition is not None and definition.given is not definition.fn:
            # A callable that was packed once for all chunks of a map: see `fix`.
            self.n_calls = n_calls_of(definition.fn.func, args)  # type: ignore[attr-defined]  # a partial
        self.is_packed = True
        return self

    def part(self, ident: int, start: int, stop: int) -> Call:
        """
        Make a call with some of the elements that the last argument has.

        Args:
            ident: The new task's number.
            start: The first of them, counted in what was packed.
            stop: The one behind the last.
        """
        part = Call(ident)
        part.definition, part.fds, part._fn_name = self.definition, (), self._fn_name
        part.parts, part.n_calls = cut_call(self.parts, ident, start, stop), stop - start
        part.is_packed = True
        return part

    def enter(self, calls: dict[int, Call]) -> None:
        """
        Enter a table of what will run, and in the same step give up what goes along: no call
        stands behind that step.

        Raises:
            DataCloneError: Something cannot be given up; the call is not there, and nothing is.
        """
        parcel = self.parcel
        assert parcel is not None
        steps: tuple[Step, ...] = (*parcel.go(), partial(calls.__setitem__, self.ident, self))
        try:
            _ = [*map(call_it, steps)]
        except BaseException as error:
            give_back(parcel, error)
            raise

    def settle(self) -> None:
        """Have what goes along be unusable here if the call has entered, and else as before."""
        if self.parcel is not None:
            self.parcel.settle()
            self.parcel = None

    def rename(self, name: str, n_calls: int) -> None:
        """Have errors call it so: what the user gave, not what stands around it."""
        self._fn_name, self.n_calls = name, n_calls

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.fn_name} #{self.ident} {self.state}>"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.fn_name

    @property
    def fn_name(self) -> str:
        """What errors call it."""
        if self._fn_name is not None:
            return self._fn_name
        if self.definition is not None:
            return name_of(self.definition.given)
        return ""
