"""
What is said between a running task and whoever holds its future.

A future has a conversation once somebody asks for one; a plain task has none. What is posted before
the task runs is kept here, because only while it runs does its worker know whom a message is for.

The thing to know before a change: "runs" is what the host believes: the task is the first that its
worker holds. It may be given back all the same, or its worker may die first. So what was sent is
kept until the worker is known to have begun the task.
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from operator import call as call_it

from webworker_executor.rules.worker import STARTING, WITHHELD
from webworker_executor.web.dispatch import dispatcher_here, dispatcher_through
from webworker_executor.web.event import Event
from webworker_executor.web.in_turn import InTurn
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.target import EventHandler
from webworker_executor.wire import codec
from webworker_executor.wire.frame import encode, ident_of, readdress
from webworker_executor.wire.kinds import HEED, ITEM, REPORT, SAYING_SHIFT, TASK_MASK, TASK_MESSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.future import WorkerFuture
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.pool.talks import Talks
    from webworker_executor.rules.worker import Worker
    from webworker_executor.web.dispatch import Dispatcher
    from webworker_executor.wire.frame import Frame, Parts
    from webworker_executor.wire.transfer import Step

    class Place(Protocol):
        """Where the processes are."""

        processes: dict[Worker, WorkerProcess]
        talks: Talks

        def call_at(self, when: float, call: Callable[[], object]) -> None:
            """Make a call at a time, on the reactor's thread."""

    class TalkingPool(Protocol):
        """The owner of a future that can talk."""

        crew: Place

        @property
        def lock(self) -> AbstractContextManager[object]:
            """Held during each step."""

        def call_back(self, call: Callable[[], object]) -> None:
            """Run a user's code on the events thread."""

        def expire(self, call: Call, limit: float) -> None:
            """End a task that has run for its ``limit`` of seconds."""


class ProgressEvent(Event):
    """
    How far a task is.

    Attributes:
        type: Always ``"progress"``.
        loaded: How much is done, as the task reported it.
        total: How much there is to do, ``None`` if the task did not say.

    Source: XHR, "Interface ProgressEvent".
    """

    __slots__ = ("loaded", "total")

    def __init__(self, loaded: Any, total: Any = None) -> None:
        super().__init__("progress")
        self.loaded = loaded
        self.total = total

    def __repr__(self) -> str:
        return f"<ProgressEvent {self.loaded} of {'?' if self.total is None else self.total}>"


class Conversation(MessageTarget):
    """
    The future's end of the conversation with its task.

    Not made by hand: take it from ``future.messages()``. Iterating over it, with ``for`` or ``async
    for``, gives the messages of the task until it is done.

    Attributes:
        onprogress: Called with a ``ProgressEvent`` for what the task reports.
    """

    onprogress = EventHandler("progress")

    def __init__(self, future: WorkerFuture[Any]) -> None:
        super().__init__()
        # Let go of when the task is done: the future keeps this object.
        self._future: WorkerFuture[Any] | None = future
        self._owner: TalkingPool | None = None
        self.heeds = False  # whether the task notices when it is cancelled
        self.limit: float | None = None  # seconds that the task may run
        # What was posted and cannot have been received; what was sent and may not have been.
        self._kept: deque[tuple[Parts, Sequence[Any]]] = deque()
        self._unsure: deque[tuple[Parts, Sequence[Any]]] = deque()
        self._reports = InTurn()
        self._items: MessageTarget | None = None
        # Whether the task rests while nobody takes its items.
        self.is_stream = False
        # Called when the task is done, perhaps twice; must neither wait nor raise.
        self.at_end: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<Conversation {'that has ended' if self._has_ended else 'with a task'}>"

    @property
    def items(self) -> MessageTarget:
        """What a streaming task yields."""
        items = self._items
        if items is None:
            items = self.__dict__.setdefault("_own_items", MessageTarget())
            self._items = items
            if self._has_ended:
                items._ended()
        return items

    # -- what the pool tells, with its lock in hand

    def arrive(self, frame: Frame, owner: TalkingPool) -> None:
        """Take what the task says; in order, on the thread that reads."""
        if self._has_ended:
            return
        self._owner = owner
        saying = frame.ident >> SAYING_SHIFT
        frame.ident = 0 if saying == ITEM else saying
        if saying == HEED:
            self.heeds = True
            self.stop_at_end(owner.crew.talks)
        elif saying == ITEM:
            # Also one that nobody has, because Ctrl-C came before `stream` had returned.
            self.is_stream = owner.crew.talks.has_streams = True
            self.items._arrive(frame)
        elif saying == REPORT:
            if self._has_listeners("progress") and self._dispatcher is not None:
                self._reports.call(lambda: self._tell_progress(frame), self._dispatcher.call)
        else:
            self._arrive(frame)

    def be_stream(self) -> None:
        """Take note that the task rests while nobody takes its items."""
        owner: Any = None if self._future is None else self._future._owner
        self.is_stream = True
        if owner is not None:
            owner.crew.talks.has_streams = True
            self.stop_at_end(owner.crew.talks)

    def stop_at_end(self, talks: Talks) -> None:
        """
        Stop a stream that rests while its executor ends: whoever would read it waits for that.

        Called by whoever stores one of the three things looked at here, after that: on the thread
        that reads, by the maker of the stream, and by who waits for the end. The last of them sees
        all.
        """
        future = self._future
        if self.is_stream and self.heeds and talks.is_ending and future is not None:
            future.abort(
                "the executor was shut down before the stream was read to its end; read it "
                "inside the executor's with block, or close it"
            )

    def begun(self, process: WorkerProcess, call: Call, crew: Place) -> None:
        """Send what was kept for the task, which runs from now on."""
        kept = self._kept
        for parts, fds in tuple(kept):
            # Taken out as it is queued: after a tear the rest is found here.
            self._hand(process, call, parts, fds, kept.popleft)
        if self.limit is not None:
            crew.talks.watch(call, self, time.monotonic() + self.limit, crew)

    def taken_back(self, call: Call, talks: Talks) -> None:
        """Keep everything again: the task had not begun, and goes elsewhere."""
        while self._unsure:
            self._kept.appendleft(self._unsure.pop())
        self.heeds = False
        talks.forget(call.ident)
        if self._kept or self.limit is not None:
            talks.waiting[call.ident] = self

    def release(self) -> None:
        """
        Hear that the task is done.

        The future calls this when it has woken the threads that wait for it: before its callbacks,
        and without costing futures that have no conversation anything. Bears being called twice.
        """
        future = self._future
        if future is None:
            return
        self._ended()
        if self._items is not None:
            self._items._ended()
        for call in tuple(self.at_end):
            call()
        self.at_end.clear()
        owner: Any = future._owner
        task = future._task
        if task is not None and owner is not None:
            owner.crew.talks.forget(task.ident)
        self._kept.clear()
        self._unsure.clear()
        # Last: a signal handler may have raised before, and then this is called again.
        self._future = None

    # -- sending

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        # What a MESSAGE says is its ident.
        self._tell(parts, fds, ident_of(parts), *going)

    def say(self, saying: int, payload: bytes) -> None:
        """Send a small frame to the task."""
        self._tell(encode(TASK_MESSAGE, 0, payload), (), saying)

    def _tell(self, parts: Parts, fds: Sequence[Any], saying: int, *going: Step) -> None:
        future = self._future
        owner: Any = None if future is None else future._owner
        call: Any = None if future is None else future._task
        if owner is None or call is None:
            # As with a port whose other side is closed.
            return
        self._owner = owner
        parts = readdress(parts, TASK_MESSAGE, call.ident | saying << SAYING_SHIFT)
        with owner.lock:
            process = running_in(call, owner.crew)
            if process is not None:
                self._hand(process, call, parts, fds, *going)
            elif self._future is not None:
                # First: what is kept is sent, though a signal handler raises.
                owner.crew.talks.waiting[call.ident] = self
                steps: tuple[Step, ...] = (*going, partial(self._kept.append, (parts, fds)))
                _ = [*map(call_it, steps)]

    def _hand(
        self,
        process: WorkerProcess,
        call: Call,
        parts: Parts,
        fds: Sequence[Any],
        *going: Step,
    ) -> None:
        # What it has begun by its note it may pass over, where it has just been withheld from.
        if process.begun() != call.ident or process.worker.recall is WITHHELD:
            going = (*going, partial(self._unsure.append, (parts, fds)))
        else:
            self._unsure.clear()
        process.post_control(parts, fds, *going)

    # -- where handlers run

    def _here(self) -> Dispatcher:
        return dispatcher_through(self._call_back)

    def _call_back(self, call: Callable[[], object]) -> None:
        owner = self._owner
        if owner is not None:
            owner.call_back(call)
        else:
            # Nothing was ever said: there is but the end to tell of.
            dispatcher_here().call(call)

    def _tell_progress(self, frame: Frame) -> None:
        report: Any = codec.unpack(frame.payload, frame.buffers, frame.fds)
        self.dispatch_event(ProgressEvent(*report))

    def _why_ended(self) -> str:
        return "the task is done, and has left no message"


def running_in(call: Call, crew: Place) -> WorkerProcess | None:
    """Return the process that runs a task, as far as the host knows."""
    worker = call.worker
    if worker is None or worker.state is STARTING or not worker.inflight:
        return None
    process = crew.processes.get(worker)
    if worker.inflight[0] is not call or process is None or not process.is_open:
        return None
    return process


def conversation_of(future: WorkerFuture[Any]) -> Conversation:
    """Return the conversation of a future, made when it is first asked for."""
    conversation = future.__dict__.get("_conversation")
    if conversation is None:
        # Watched before the conversation can be found: whoever settles a watched future looks for
        # one to release. The other way round, a signal handler that raised between the two would
        # leave a conversation that no end comes to.
        future._watch()
        # Two threads may come here at once; the first one's is everybody's.
        conversation = future.__dict__.setdefault("_conversation", Conversation(future))
    if conversation._future is not None and future.done():
        # Settled before it was watched. Looked at each time, for the same reason.
        conversation.release()
    found: Conversation = conversation
    return found


def heard(frame: Frame, calls: dict[int, Call]) -> None:
    """Take what a task says; on the thread that reads."""
    call = calls.get(frame.ident & TASK_MASK)
    owner: Any = None if call is None else call.future._owner
    if call is not None and owner is not None:
        conversation_of(call.future).arrive(frame, owner)


def taken_back(call: Call, talks: Talks) -> None:
    """Tell the conversation of a task, if it has one, that the task goes elsewhere."""
    conversation = call.future.__dict__.get("_conversation")
    if conversation is not None and conversation._future is not None:
        conversation.taken_back(call, talks)
