"""
The loop of a worker: read, run, answer.

The main thread reads what has come in one piece, runs one task to its end, and answers before it
begins the next: so the answers that left tell exactly how far the worker had come. Before each task
it notes in the ledger that the task has begun. ``lifeline`` has the second thread.

A worker imports this module before it is of any use, so it imports the least: see the test of a
lean start. Whatever a task does to the process (descriptors, signals, forks) must at worst end it:
the answer of a process that is not sure of itself is its death, which the host handles.
"""

from __future__ import annotations

import _socket
import _thread
import posix
import sys
from collections import deque
from time import monotonic

from webworker_executor.child import desk
from webworker_executor.child.data_end import DataEnd
from webworker_executor.child.notes import Notes
from webworker_executor.child.scope import scope
from webworker_executor.web.awaited import CoroutineType, ended
from webworker_executor.web.blame import point_out
from webworker_executor.wire import codec
from webworker_executor.wire.definition import FULL, unpack_call
from webworker_executor.wire.frame import Frame, encode, encode_answer
from webworker_executor.wire.kinds import (
    CALL,
    CALL_PREFIX,
    CLOSE,
    DEFINE,
    HELLO,
    IDENT,
    LOAD_ERROR,
    MESSAGE,
    OF_SO_MANY,
    RAISE,
    READY,
    RECALL,
    RECEIPT,
    REJECT,
    RESULT,
    RETURNED,
)
from webworker_executor.wire.transfer import for_task
from webworker_executor.wire.variable import run_in_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.child.meter import Meter


MAX_MICROSECONDS = 0xFFFFFFFF
# How long the control thread waits for the main thread to take in what it reads. Then that waits in
# the socket, and nothing is there to be given back.
READ_SECONDS = 0.01
NOT_MADE = (
    "The call was not made: this was raised as the worker unpacked it. What the main module "
    "defines is made again there from what was packed of it; what cannot be belongs into a module "
    "that the worker can import."
)
# In place of a task that was given up before it began: something must be answered in its turn.
NOTHING = CALL_PREFIX.pack(0, FULL) + codec.pack((bool, (), {}, None)).payload


class Loop(DataEnd):
    """
    A worker's main thread.

    Args:
        data: The data link; blocking, owned by the loop.
    """

    def __init__(self, data: _socket.socket) -> None:
        super().__init__(data)
        self._definitions: dict[int, Callable[..., Any]] = {}
        # What other threads want done on this one, between tasks; see `call_soon`.
        self._calls: deque[Callable[[], object]] = deque()
        self._alarm = -1
        self._wait: Callable[[], list[tuple[int, int]]] | None = None
        # Set once, by one step of C: of two threads that come at once, the first's are everybody's.
        self._first_ears: dict[None, tuple[int, Callable[[], list[tuple[int, int]]]]] = {}
        # The control thread's as well. A forked process has the count of its parent.
        self._n_threads = _thread._count() + 1
        self.desk = desk.install(self)
        self.notes = Notes(self._answer_recall, self.desk.forget, self._writing)
        # Weighs tasks, where that was asked for.
        self.meter: Meter | None = None

    @property
    def is_running_task(self) -> bool:
        """Whether the main thread is in code of a user."""
        return self.running != 0

    # -- reading

    def next_frame(self) -> Frame:
        """
        Wait for the next frame, and make the calls that come meanwhile.

        Ends the process when the host is gone.
        """
        todo = self._todo
        while True:
            # Looked at first: if it is there, the control thread rings for what it leaves behind.
            wait = self._wait
            if todo:
                try:
                    return todo.popleft()
                except IndexError:
                    # The control thread has given the last one back.
                    continue
            # Before any wait: nobody else tells the host what it may use again.
            if self._exchange is not None:
                self._note()
            flags = 0
            if wait is None and _thread._count() > self._n_threads:
                # A task has left it behind. While this one waits in the socket alone, it would ask
                # for calls in vain.
                self.listen()
                continue
            if wait is not None:
                for fd, _ in wait():
                    if fd == self._alarm:
                        self._make_calls()
                    else:
                        # Never to wait in the socket alone, deaf to calls: what came may be tasks
                        # that the control thread has given back by now.
                        flags = _socket.MSG_DONTWAIT
                if not flags:
                    # An alarm may be for a call that was made already, between two tasks.
                    continue
            with self._reading:
                # The control thread may have filled it while this one waited for the lock.
                if not todo:
                    self._read(flags)

    def give_back(self, count: int) -> None:
        """Return up to ``count`` tasks from the end of the queue; on the control thread."""
        # The host believes that tasks are answered in the order it sent them. So the news of a gap
        # must leave before the answer to any task behind the gap: both go the same way, and no
        # answer leaves between taking the tasks and telling of it.
        has_lock = self._reading.acquire(timeout=READ_SECONDS)
        try:
            with self._writing:
                # Without the lock: the main thread is reading, and so has nothing to do.
                last = self._take_last(count) if has_lock else []
                for ident in last:
                    # Before the host hears: what it sends for one that comes again stays.
                    self.desk.forget(ident)
                self._send(encode(RETURNED, OF_SO_MANY, b"".join(map(IDENT.pack, last))))
        finally:
            if has_lock:
                self._reading.release()

    def _take_last(self, count: int) -> list[int]:
        # What still lies in the socket comes first: it was sent last.
        before = -1
        while len(self._todo) != before:
            before = len(self._todo)
            self._read(_socket.MSG_DONTWAIT)
        idents: list[int] = []
        kept: list[Frame] = []
        while len(idents) != count:
            try:
                frame = self._todo.pop()
            except IndexError:
                break
            if frame.kind == CALL:
                idents.append(frame.ident)
            else:
                kept.append(frame)
        # If the main thread found the deque empty meanwhile, it waits for the lock held here; or
        # for the alarm as well, where what came no longer makes the socket readable.
        self._todo.extend(reversed(kept))
        if self._todo and self._alarm >= 0:
            posix.eventfd_write(self._alarm, 1)
        return idents[::-1]

    def _answer_recall(self, number: int, idents: Sequence[int]) -> None:
        self._send(encode(RETURNED, number, b"".join(map(IDENT.pack, idents))))

    # -- calls of other threads

    def call_soon(self, call: Callable[[], object]) -> None:
        """Make a call on the main thread, between tasks; an idle worker wakes up for it."""
        self._calls.append(call)
        if self._alarm >= 0:
            posix.eventfd_write(self._alarm, 1)

    def listen(self) -> None:
        """
        Wait for calls as well as for frames from now on.

        Nobody who has not asked for it, nor left a thread behind, pays for the second system call.
        """
        if self._wait is not None:
            return
        import select

        alarm = posix.eventfd(0, posix.EFD_CLOEXEC | posix.EFD_NONBLOCK)
        both = select.poll()
        both.register(self._data, select.POLLIN)
        both.register(alarm, select.POLLIN)
        ears = self._first_ears.setdefault(None, (alarm, both.poll))
        if ears[0] != alarm:
            posix.close(alarm)
        self._alarm, self._wait = ears

    def expect(self) -> None:
        """Listen as a handler is set, which a signal's may do while this thread waits."""
        if self._wait is not None:
            return
        self.listen()
        if not self.running and _thread.get_ident() == self._main:
            # In the socket alone, where it would stay until the next frame comes. So the wait ends
            # when the signal's handler returns, see `_read`, and begins anew for both.
            posix.set_blocking(self._data.fileno(), False)

    def _make_calls(self) -> None:
        # The alarm first: whoever rings after this has a call that is seen in the next round.
        try:
            if self._alarm >= 0:
                posix.eventfd_read(self._alarm)
        except BlockingIOError:
            # Already taken: the call was seen between two tasks.
            pass
        for _ in range(len(self._calls)):
            try:
                self._calls.popleft()()
            except BaseException:
                sys.excepthook(*sys.exc_info())
            self.end_copy()

    # -- life

    def hello(self) -> dict[str, Any]:
        """Take the first frame and set up the process as the host wishes."""
        frame = self.next_frame()
        if frame.kind != HELLO:
            posix._exit(1)
        hello: dict[str, Any] = codec.unpack(frame.payload, frame.buffers)  # type: ignore[assignment]  # the host packed a dict
        scope.__init__()  # type: ignore[misc]  # a forked process has the scope of its parent
        scope.is_worker = True
        scope.index = hello["index"]
        scope.name = hello["name"]
        codec.generation = hello["generation"]
        scope._send = self.post
        self.desk.answers[RECEIPT] = lambda _: scope._acknowledged()
        return hello

    def ready(self) -> None:
        """Tell the host that tasks can run."""
        with self._writing:
            self._send(encode(READY, 0))

    def load_error(self, exc: BaseException) -> None:
        """Tell the host that the initializer failed."""
        from webworker_executor.wire.failure import pack_failure

        with self._writing:
            self._send(encode(LOAD_ERROR, 0, pack_failure(exc, skip=1)))

    def run(self) -> None:
        """Serve until the host says goodbye, then return."""
        run_call = self.run_call if self.meter is None else self.meter.run_call
        while True:
            frame = self.next_frame()
            kind = frame.kind
            if kind == CALL:
                run_call(frame)
            elif kind == DEFINE:
                self._define(frame)
            elif kind == MESSAGE:
                scope._arrive(frame)
            elif kind == RECALL:
                self.notes.come_to_mark(frame.ident)
            elif kind == CLOSE:
                # What it has of the program's modules would keep their variables beyond the end of
                # the interpreter: a file among them would not be written.
                self._definitions.clear()
                return
            # A frame must not outlive its turn: what a task was given is released before the wait.
            del frame
            if scope._inbox:
                scope._deliver_waiting()
            if self._calls:
                self._make_calls()
            self.end_copy()

    def _define(self, frame: Frame) -> None:
        if not frame.payload:
            # One with large buffers, opened anew for each call; or one that is not needed any more.
            self._definitions.pop(frame.ident, None)
            for original in frame.buffers:
                self._definitions[frame.ident] = original
            return
        try:
            self._definitions[frame.ident] = codec.unpack(frame.payload, frame.buffers)  # type: ignore[assignment]  # a callable
        except BaseException as exc:
            error = exc

            # Whoever calls it gets the error; a frame that only defines has nobody to tell.
            def fail(*args: object, **kwargs: object) -> None:
                raise error

            self._definitions[frame.ident] = fail

    def run_call(self, frame: Frame) -> None:
        """Run a task and answer."""
        ident = frame.ident
        started = monotonic()
        if not self.notes.begin(started, ident):
            return
        # A call that does not even unpack is told from one that raises: the stdlib's pool breaks.
        failed = REJECT
        try:
            self.running = ident
            if self.desk.unwanted and self.desk.is_given_up(ident):
                frame.payload, frame.buffers, frame.fds = NOTHING, (), ()
            try:
                number, shape = CALL_PREFIX.unpack_from(frame.payload)
                definition = self._definitions[number] if number else None
                fn, args, kwargs, context = unpack_call(
                    shape, frame.payload[CALL_PREFIX.size :], frame.buffers, definition, frame.fds
                )
                failed = RAISE
                # Only the task itself may keep what it was given.
                frame.payload, frame.buffers, frame.fds = b"", (), ()
                if context is None:
                    value = fn(*args, **kwargs)
                    if value.__class__ is CoroutineType:
                        value = ended(value)
                else:
                    value = run_in_context(context, fn, args, kwargs, ended)
                del fn, args, kwargs
                packed = None
                try:
                    packed = codec.pack(value, to_host=True, parcel=for_task, shelf=self._shelve)
                except BaseException as error:
                    if not _can_be_salvaged(value):
                        point_out(error, {"result": value})
                        raise
                if packed is None:
                    # Outside the except block: else the first error would be the `__context__` of
                    # those of the parts.
                    value = value.salvaged()
                    packed = codec.pack(value, to_host=True, parcel=for_task, shelf=self._shelve)
                del value
            finally:
                self.running = 0
                if self.desk.is_used:
                    self.desk.put_away()
            kind, payload, buffers, fds = RESULT, packed.payload, packed.buffers, packed.fds
        except BaseException as exc:
            if failed == REJECT:
                exc.add_note(NOT_MADE)
            kind, payload, buffers, fds = failed, self._failure(exc), [], ()
        self.end_copy()
        microseconds = min(int((monotonic() - started) * 1e6), MAX_MICROSECONDS)
        parts = encode_answer(kind, ident, started, microseconds, payload, buffers, len(fds))
        try:
            with self._writing:
                self._send(parts, fds)
        except ConnectionError:
            # The host reads no more of this process, and kills it.
            posix._exit(1)

    def _failure(self, exc: BaseException) -> bytes:
        if self.meter is not None:
            # There may be none left to pack it.
            self.meter.lift()
        from webworker_executor.wire.failure import pack_failure

        return pack_failure(exc, skip=1)


def _can_be_salvaged(value: object) -> bool:
    from webworker_executor.wire.salvage import Salvageable

    return isinstance(value, Salvageable)
