"""
Division: calls of a chunk that have not begun go to workers that have nothing to do.

``map`` puts calls together because those before them were quick. Where one takes long after all,
those behind it in its chunk would wait, while other workers idle. So the worker is asked for what
it has not begun of the chunk, and that becomes tasks of their own. Not for how large chunks are to
begin with (``rules.chunks``), nor for whole tasks that wait in a worker (``rules.assignment``).

Whose a call is: the chunk's until the frame is read with which its worker gives it back, and from
that step on a new task's. The chunk is not done then, because its answer comes behind that frame on
the same link; so at each moment each call is some unfinished task's, and the pool does not end. If
the worker dies before it says anything, all its calls die with the chunk; if after that, only those
that it has kept.
"""

from __future__ import annotations

import time

from webworker_executor.pool.talk import running_in
from webworker_executor.wire.frame import can_be_cut, encode
from webworker_executor.wire.kinds import COUNT, DIVIDE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future
    from typing import Any

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.parts import PoolParts
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.rules import action as do
    from webworker_executor.wire.frame import Frame

# How long a chunk runs that takes long, ten times what it was made for; how often is looked; and
# from when on workers are started for what it keeps waiting.
LONG_SECONDS = 0.05
START_SECONDS = 1.0
# Pieces for each worker: what is in one of them may be slow, too, and is divided again then.
SHARES = 2


class Span:
    """
    Which calls of a chunk a task runs, by their numbers in the chunk as it was packed.

    Args:
        start: The first one.
        stop: The one behind the last.

    Attributes:
        ask_at: From when on its worker is asked for those that it has not begun, in seconds after
            it began the task. It says nothing before it has unpacked it, and is asked again.
        is_spent: Whether it has answered, and has no more to give.
        is_forsaken: Whether nobody wants their results.
    """

    __slots__ = ("ask_at", "is_forsaken", "is_spent", "start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop
        self.ask_at = LONG_SECONDS
        self.is_spent = self.is_forsaken = False


class Division:
    """
    Divides the chunks of one pool.

    Args:
        parts: The pool's.
    """

    def __init__(self, parts: PoolParts) -> None:
        self._scheduler = parts.scheduler
        self._promises = parts.promises
        self._crew = parts.crew
        self._steps = parts.steps
        # By task; some of these are done.
        self._spans: dict[int, Span] = {}
        self._n_open = 0
        self._is_watching = False

    def watch(self, future: Future[Any], n_calls: int) -> None:
        """
        Divide a chunk if it takes long.

        Args:
            future: Of a call whose last argument is the chunk; any other, as one that is done, is
                left alone.
            n_calls: How many there are in it.
        """
        call: Call | None = getattr(future, "_task", None)
        if n_calls > 1 and call is not None:
            with self._steps.lock:
                self._spans[call.ident] = Span(0, n_calls)
                self._look_later()

    def _look_later(self) -> None:
        if not self._is_watching:
            self._crew.call_at(time.monotonic() + LONG_SECONDS, self._look)
            self._is_watching = True

    def forsake(self, future: Future[Any]) -> None:
        """Have what has not begun of a chunk never run: nobody will ask for it. Any thread."""
        call: Call | None = getattr(future, "_task", None)
        span = None if call is None else self._spans.get(call.ident)
        if call is not None and span is not None:
            with self._steps.lock:
                span.is_forsaken = True
                process = running_in(call, self._crew)
                if process is not None:
                    # Again by `_look`, where it has not come so far.
                    _ask(process, call)
        for part in parts_of(future):
            if not part.cancel():
                self.forsake(part)

    # -- on the reactor's thread

    def _look(self) -> None:
        with self._steps.lock:
            self._is_watching = False
            self._let_go_of_done()
            for process, call, span in self._late():
                # Ever more rarely: the worker may be in C code for hours.
                span.ask_at *= 2
                _ask(process, call)
            if self._spans:
                self._look_later()

    def _let_go_of_done(self) -> None:
        # All are looked at only when there may be as many to let go of as to keep: because so many
        # have come, or some looks later.
        calls = self._promises.calls
        self._n_open -= -(-self._n_open // 8)
        if not calls or len(self._spans) >= 2 * self._n_open:
            self._spans = {ident: span for ident, span in self._spans.items() if ident in calls}
            self._n_open = len(self._spans)

    def _late(self) -> Iterable[tuple[WorkerProcess, Call, Span]]:
        """List chunks that run and take long, as many as there are workers for their calls."""
        n_idle, n_unused, now = self._scheduler.n_idle, self._scheduler.n_unused, time.monotonic()
        late: list[tuple[WorkerProcess, Call, Span]] = []
        for process in self._crew.processes.values():
            inflight = process.worker.inflight
            call: Any = inflight[0] if inflight else None
            span = None if call is None else self._spans.get(call.ident)
            begun = None if span is None else process.begun_at(call.ident)
            if span is not None and begun is not None and not span.is_spent:
                seconds = now - begun
                n_hands = n_idle + (n_unused if seconds >= START_SECONDS else 0)
                if seconds >= span.ask_at and (span.is_forsaken or len(late) < n_hands):
                    late.append((process, call, span))
        return late

    def divided(self, process: WorkerProcess, frame: Frame) -> do.Actions:
        """Make tasks of the calls that a worker gives back; in a step."""
        call, span = self._promises.calls.get(frame.ident), self._spans.get(frame.ident)
        if call is None or span is None or call.future.done():
            # It was aborted, say. Nobody waits for any of its calls.
            return ()
        (n_left,) = COUNT.unpack(frame.payload) if len(frame.payload) == COUNT.size else (-1,)
        if not 0 <= n_left <= span.stop - span.start:
            process.kill("it gave back calls that it was not given")
            return ()
        middle, stop, span.stop = span.stop - n_left, span.stop, span.stop - n_left
        call.n_calls = middle - span.start
        span.is_spent = True
        if span.is_forsaken or not n_left:
            return ()
        size = -(-n_left // (SHARES * self._scheduler.max_workers))
        parts = [
            self._part(call, start, min(start + size, stop)) for start in range(middle, stop, size)
        ]
        call.future._parts = [part.future for part in parts]
        actions: list[do.Action] = []
        for part in parts:
            actions += self._scheduler.submitted(part)
        return actions

    def _part(self, call: Call, start: int, stop: int) -> Call:
        part = call.part(self._promises.next_ident(), start, stop)
        part.future._owner, part.future._task = call.future._owner, part
        self._promises.calls[part.ident] = part
        self._promises.n_taken += 1
        if stop - start > 1:
            self._spans[part.ident] = Span(start, stop)
        return part


def _ask(process: WorkerProcess, call: Call) -> None:
    if call.parts and can_be_cut(call.parts):
        process.post_control(encode(DIVIDE, call.ident))


def parts_of(future: Future[Any]) -> Sequence[Future[Any]]:
    """Return the futures of what was taken out of a chunk, in order; all, once it is done."""
    return getattr(future, "_parts", ())
