"""
The conversations of a pool that wait for something: their task's turn, or its time to be over.

Not for what is said: see `talk`.
"""

from __future__ import annotations

import time

from webworker_executor.rules.worker import STARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.pool.talk import Conversation, Place


class Talks:
    """
    The conversations of a pool that wait for something; with the pool's lock in hand.

    Attributes:
        waiting: Those that want to know when their task begins, by its number.
        is_ending: Whether somebody waits for the end of the pool.
        has_streams: Whether there has ever been a stream.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, Conversation] = {}
        # Of the tasks that run, and so never more than there are workers.
        self._deadlines: dict[int, tuple[float, Call, Conversation]] = {}
        # The times of the alarms that are set and have not rung; each is before those above it.
        self._alarms: list[float] = []
        self.is_ending = False
        self.has_streams = False

    def end(self, calls: Callable[[], Iterable[Call]]) -> None:
        """
        Stop streams that rest: whoever would read them waits for the end of the executor.

        Any other task comes to its end by itself; these never would.

        Args:
            calls: Returns those that are not done.
        """
        self.is_ending = True
        for call in calls() if self.has_streams else ():
            conversation = call.future.__dict__.get("_conversation")
            if conversation is not None:
                conversation.stop_at_end(self)

    def attend(self, process: WorkerProcess, crew: Place) -> None:
        """Look whether the task that a process has come to is waited for."""
        inflight = process.worker.inflight
        if inflight and process.worker.state is not STARTING and process.is_open:
            call: Any = inflight[0]
            conversation = self.waiting.get(call.ident)
            if conversation is not None:
                conversation.begun(process, call, crew)
                # Only now: after a tear it is found there, and begins again.
                self.waiting.pop(call.ident, None)

    def forget(self, ident: int) -> None:
        """Let go of a task that is done, or not begun after all."""
        self.waiting.pop(ident, None)
        self._deadlines.pop(ident, None)

    def watch(self, call: Call, conversation: Conversation, deadline: float, crew: Place) -> None:
        """End a task at a time, unless it is done by then."""
        self._deadlines[call.ident] = deadline, call, conversation
        self._wind(deadline, crew)

    def _wind(self, deadline: float, crew: Place) -> None:
        # One alarm for all, for the earliest: most tasks end long before their time. A later one
        # that is set already stays, and is not set again: there would be one for each that rings.
        if deadline < min(self._alarms, default=float("inf")):
            self._alarms.append(deadline)
            crew.call_at(deadline, lambda: self.ring(crew))

    def ring(self, crew: Place) -> None:
        """End what is over its time, and set the alarm for the rest; on the reactor's thread."""
        now = time.monotonic()
        while self._alarms and self._alarms[-1] <= now:
            self._alarms.pop()
        for deadline, call, conversation in list(self._deadlines.values()):
            if deadline <= now:
                self._expire(call, conversation)
            else:
                self._wind(deadline, crew)

    def rewind(self, crew: Place) -> None:
        """Do as `ring`, where an alarm may have been noted and not set; there, too."""
        self._alarms.clear()
        self.ring(crew)

    def _expire(self, call: Call, conversation: Conversation) -> None:
        self._deadlines.pop(call.ident, None)
        owner: Any = call.future._owner
        if owner is not None and conversation.limit is not None:
            owner.expire(call, conversation.limit)
