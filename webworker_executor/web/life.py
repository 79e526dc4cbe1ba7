"""
The life of the process behind one `Worker`: its start, its time-outs, its end.

Everything here runs on the reactor's thread, except for the making and where it says so. Not for
messages and handlers: the owner has those, and is told what happens. How frames look is left to the
subclasses, one per profile. Whoever changes this must know who keeps whom: the reactor keeps the
life, the owner keeps the life, and the life keeps its owner only while somebody would notice.
"""

from __future__ import annotations

import math
import operator
import os
import time
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from webworker_executor.launch import roll
from webworker_executor.launch.escalation import LAST_SECONDS, Escalation
from webworker_executor.launch.exit_status import how_it_ended
from webworker_executor.launch.launcher import GRACE_SECONDS
from webworker_executor.link.flag import Flag
from webworker_executor.link.journal import Journal
from webworker_executor.rules.script import EXITED, ScriptMachine
from webworker_executor.web import endings
from webworker_executor.web.deadlines import Deadlines
from webworker_executor.web.host import EXIT_SECONDS, host
from webworker_executor.web.outcome import WorkerOutcome
from webworker_executor.web.profile import Profile
from webworker_executor.web.remains import end_later

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.launch.launcher import Child
    from webworker_executor.launch.stdio import Streams
    from webworker_executor.launch.witness import Witness
    from webworker_executor.web.incoming import WorkerTarget

_log = Journal("webworker_executor.web")

# Those that have not ended: the reactor alone would not keep one whose process is being started.
_living: set[Life] = set()


class Life(Profile):
    """
    A process in the making, alive or dead.

    Args:
        title: What a reader knows it by.
        handshake_timeout: Seconds from the start until it must be ready; 0 is for ever.
        max_duration: Seconds it may live once it is ready; 0 is for ever.
        streams: Its standard streams; owned from here.

    Attributes:
        ready: Resolves to ``None`` when the process is ready.
        lifetime: Resolves to ``None`` when it has ended as it should, else fails.
        exited: Resolves to its exit status, ``-signal`` if killed, ``None`` if not known.
        witness: Tells of its stacks, if it can.
        created_at: When its start was asked for, as ``time.monotonic`` has it.
        streams: As given.
    """

    # How long a process may go on that was ready and has closed its channel.
    _closing_seconds = LAST_SECONDS

    def __init__(
        self, title: str, handshake_timeout: float, max_duration: float, streams: Streams
    ) -> None:
        self.title = title
        self.streams = streams
        self.ready: WorkerOutcome[None] = WorkerOutcome()
        self.lifetime: WorkerOutcome[None] = WorkerOutcome()
        self.exited: WorkerOutcome[int | None] = WorkerOutcome()
        self.witness: Witness | None = None
        self.created_at = time.monotonic()
        self._machine = ScriptMachine()
        self._owner: Callable[[], WorkerTarget | None] = _nobody
        self._kept: object = None
        self._limits = (handshake_timeout, max_duration)
        self._deadline = math.inf
        self._verdict: BaseException | None = None
        self._is_wanted = False  # the end
        self._said_goodbye = False
        # The stacks of a process that died of a fault.
        self._words: str | None = None
        self._ended = Flag()
        self._pid = os.getpid()
        self._has_begun = False
        # What the worker's finalizer does, until it has ended.
        self._farewells: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title!r} {self.state} {self.child!r}>"

    @property
    def state(self) -> str:
        """Where in its life it is; any thread."""
        return self._machine.state

    @property
    def is_over(self) -> bool:
        """Whether the process has ended, or never came; any thread."""
        return self._ended.is_set()

    def begin(self, owner: WorkerTarget) -> None:
        """
        Start the process, soon; any thread.

        Whatever is not given back with the last reference is made in here, where this object is in
        hand: of a constructor that a signal handler breaks off nobody has the object.

        Raises:
            RuntimeError: The interpreter is exiting.
            OSError: No descriptor is left.
        """
        self._owner = ref(owner)
        try:
            self._reactor, _ = host.acquire(self)
            self._deadlines = Deadlines(self._reactor)
            self._escalation = Escalation(self._reactor, self._refused)
            self._farewells.append(self._reactor.finalizer(self._leave_when_idle))
            _living.add(self)
            self._connect()
            self._reactor.call_soon(self._begin)
        except BaseException:
            # Nobody is to be asked to leave any more, by a reactor that may be gone by then.
            self._farewells.clear()
            if self in _living:
                # On the reactor, which may have begun: if it is to, that comes first.
                self._reactor.call_soon(self._break_off)
            else:
                self._ended.set()
                host.release(self)
                self.streams.close()
            raise

    def _break_off(self) -> None:
        """End what nobody will ever hold."""
        self._owner = _nobody
        self._is_wanted = True
        # Here, and not with the last reference: the exception's frames may be kept.
        self.streams.close()
        if self._has_begun:
            self._terminate(0.0)
        else:
            self._finish(None)

    def keep(self, owner: object) -> None:
        """Keep the owner alive, or nobody (``None``); any thread."""
        self._kept = owner
        # Looked at after it was stored: whichever way this and the end interleave, nobody stays.
        if self.is_over:
            self._kept = None

    # -- birth

    def _begin(self) -> None:
        self._has_begun = True
        if self._limits[0]:
            self._deadlines.set("handshake", self._limits[0], self._handshake_is_late)
        try:
            self._launch()
        except Exception as error:
            # Also what Python says while it exits, such as "can't fork at interpreter shutdown".
            self._refused(error)
        finally:
            self.streams.started()

    def _started(self, child: Child) -> None:
        _log.debug("%s was started as process %d", self.title, child.pid)
        try:
            self._escalation.take(child, self._exited)
        except OSError as error:
            self._refused(error)

    def _refused(self, error: BaseException) -> None:
        self._verdict = self._verdict or endings.not_started(self.title, error)
        self._finish(None)

    def _is_ready(self) -> None:
        if self.ready.is_settled:
            return
        self._deadlines.cancel("handshake")
        self._machine.step("ready")
        if self._limits[1]:
            self._deadlines.set("duration", self._limits[1], self._ran_too_long)
        _log.debug("%s is ready", self.title)
        self.ready.settle()
        owner = self._owner()
        if owner is not None:
            owner._came_up()

    def _handshake_is_late(self) -> None:
        self._fail(endings.late(self.title, self._limits[0]))

    def _ran_too_long(self) -> None:
        self._fail(endings.ran_too_long(self.title, self._limits[1]))

    def _fail(self, error: BaseException, grace: float = GRACE_SECONDS) -> None:
        """Stop the process because of an error, which is why it ends."""
        self._verdict = self._verdict or error
        self._escalation.terminate(grace)

    # -- death

    def terminate(self, timeout: float | None) -> None:
        """Bring the process to its end; any thread."""
        self._call(lambda: self._terminate(timeout))

    def farewell(self) -> Callable[[], object]:
        """
        Return what takes note that nobody holds the worker any more, as its ``__del__``.

        It is of C: in a finalizer of Python a signal handler may raise, and then the worker stayed
        for ever, and what was raised would be swallowed.
        """
        return partial(any, map(operator.call, self._farewells))

    def send_signal(self, number: int) -> None:
        """Send a signal, now or as soon as the process exists; any thread."""
        self._call(lambda: self._escalation.send_signal(number))

    def _call(self, call: Callable[[], object]) -> None:
        if not self.is_over and self._pid == os.getpid():
            self._reactor.call_soon(call)

    def _terminate(self, timeout: float | None) -> None:
        if self.is_over:
            return
        self._is_wanted = True
        self._machine.step("close")
        if timeout == 0:
            self._escalation.kill()
            return
        self._ask_to_close()
        if timeout is not None and time.monotonic() + timeout < self._deadline:
            self._deadline = time.monotonic() + timeout
            self._escalation.later(timeout, self._escalation.terminate)

    def _leave_when_idle(self) -> None:
        if not self.is_over:
            self._is_wanted = True
            self._let_go()

    def _goodbye(self) -> None:
        """Hear that nothing more will come, and that the process ends by itself."""
        self._said_goodbye = True
        if self.state != EXITED:
            self._machine.step("close")

    def _channel_ended(self, error: Exception | None) -> None:
        """Hear that nothing can be read any more: a reason to kill, not proof of death."""
        if error is not None:
            if self.ready.is_settled:
                self._owner_hears(error)
            self._fail(error, 0.0)
        elif not self._said_goodbye:
            seconds = self._closing_seconds if self.ready.is_settled else LAST_SECONDS
            self._escalation.later(seconds, self._has_closed_channel)

    def _has_closed_channel(self) -> None:
        self._fail(endings.closed_channel(self.title, self.pid, was_ready=self.ready.is_settled))

    def _owner_hears(self, error: BaseException) -> None:
        owner = self._owner()
        if owner is not None:
            owner._failed(error)

    def _exited(self) -> None:
        # What it wrote before its end counts.
        self._drain()
        assert self.child is not None
        end_later(self.child, self.child.rest_until)
        self._finish(self.child.exitcode)

    def _finish(self, exitcode: int | None) -> None:
        if self.is_over:
            return
        self._farewells.clear()
        self._deadlines.close()
        self._escalation.close()
        self._words = None if self.witness is None else self.witness.last_words()
        self._close_links()
        self._machine.step("exit")
        error = self._judge(exitcode)
        _log.debug("%s %s", self.title, how_it_ended(exitcode))
        if not self.ready.is_settled:
            failure = error or endings.unwanted(self.title)
            self._owner_hears(failure)
            self.ready.settle(error=failure)
        self.lifetime.settle(error=error)
        self.exited.settle(exitcode)
        self._ended.set()
        owner, self._kept = self._owner(), None
        if owner is not None:
            owner._has_exited(exitcode)
        _living.discard(self)
        self._close_launcher(lambda: host.release(self))

    def _judge(self, exitcode: int | None) -> BaseException | None:
        """Make the error of its lifetime, ``None`` if it ended as it should."""
        if self._verdict is not None:
            return self._verdict
        if self._is_wanted:
            return None
        if not self.ready.is_settled:
            return endings.unready(self.title, self.pid, exitcode, self._escalation.why)
        if exitcode == 0:
            return None
        return endings.crashed(self.title, self.pid, exitcode, self._words)

    @property
    def child(self) -> Child | None:
        """The process, once there is one; any thread."""
        return self._escalation.child

    @property
    def pid(self) -> int | None:
        """The process id, ``None`` before there is a process; any thread."""
        return None if self.child is None else self.child.pid

    def dump_stacks(self, timeout: float) -> str:
        """Ask for the stacks of all threads; any thread but the reactor's."""
        if self.is_over or self._pid != os.getpid():
            return ""
        answers = roll.ask([self], timeout, self._reactor.call_soon)
        return answers.get(self) or roll.silence(self, timeout)

    # -- what the host asks for

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Ask all workers of the program to leave at once, force them, and wait for this one."""
        for life in tuple(_living):
            life.terminate(0.0 if interrupted else EXIT_SECONDS)
        self._ended.wait()

    def disown_after_fork(self) -> None:
        """In a forked copy of the host: the worker is the parent's, and nobody hears of it here."""
        self._farewells.clear()
        _living.discard(self)
        self._disown_links()
        if self.child is not None:
            self.child.forget_after_fork()
        if self.state != EXITED:
            self._machine.step("exit")
        self._ended.set()
        error = endings.disowned(self.title)
        self.ready.disown(error=error)
        self.lifetime.disown(error=error)
        self.exited.disown()
        owner, self._kept = self._owner(), None
        if owner is not None:
            owner._disown()


def _nobody() -> None:
    return None
