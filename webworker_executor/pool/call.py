"""
A submitted call: a task of the scheduler, with its bytes and its future.
"""

from __future__ import annotations

from webworker_executor.link.memory import store
from webworker_executor.pool.chunk import run_all, run_chunk
from webworker_executor.pool.future import WorkerFuture
from webworker_executor.rules.task import Task
from webworker_executor.wire.definition import Definition, pack_call
from webworker_executor.wire.frame import encode_call
from webworker_executor.wire.transfer import learn_later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.wire.frame import Frame


def _learn_to_send_files() -> None:
    from webworker_executor.web.movable import movable

    movable()


learn_later(_learn_to_send_files)


class Call(Task):
    """
    One call of a user's function.

    Args:
        ident: The task's number in its pool.
        fn: What to call.
        args: With these.
        kwargs: And these. All are packed here and now, so that later changes do not reach the task.

    Attributes:
        future: Where the answer goes.
        parts: The frame to be sent.
        fds: The descriptors to go with it; kept as long as the task may be sent once more.
        definition: The callable that a worker must have before, or ``None``.
        is_posted: Whether the frame has been given to a link.
        answer: The frame that came for it, if a thread that waited has read it; after a torn step
            the future is resolved with it.

    Raises:
        Exception: What packing raises.
    """

    __slots__ = ("_fn_name", "answer", "definition", "fds", "future", "is_posted", "parts")

    def __init__(
        self, ident: int, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        definition, shape, packed = pack_call(fn, args, kwargs, store.shelve)
        number = 0 if definition is None else definition.ident
        super().__init__(ident)
        self.definition: Definition | None = definition
        self.fds = packed.fds
        self.parts = encode_call(
            ident, number, shape, packed.payload, packed.buffers, len(packed.fds)
        )
        self.is_posted = False
        self.answer: Frame | None = None
        # A callable that is sent once is kept there anyway; any other is not to be kept alive.
        self._fn_name = None if definition is not None else name_of(fn)
        if fn is run_all or fn is run_chunk:
            # Known before it is submitted: its worker may die before `submit` has returned.
            self._fn_name = name_of(args[0])
        self.future = WorkerFuture()

    def rename(self, name: str) -> None:
        """Have errors call it so: what the user gave, not what stands around it."""
        self._fn_name = name

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
            return name_of(self.definition.fn)
        return ""


def name_of(fn: Any) -> str:
    """Return what errors call a callable: ``module.qualname`` where it has them."""
    try:
        return f"{fn.__module__}.{fn.__qualname__}"
    except Exception:  # a callable may have neither, or answer with an error of its own
        return type(fn).__name__


def rename_task(future: WorkerFuture, name: str) -> None:
    """
    Have errors call the task of a future so; no effect if it is over.

    Just after it was submitted: nothing is said of a task before it can have begun.
    """
    call: Any = future._task
    if call is not None:
        call.rename(name)
