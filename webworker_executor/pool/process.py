"""
One worker process of a pool: how it is brought up, spoken to and laid to rest.

What brings it up and down runs on the reactor's thread; what is posted to it and asked of it, any
thread may. What happens next is not decided here: news goes to the pool.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from signal import SIGKILL, SIGTERM

from webworker_executor.launch.escalation import LAST_SECONDS, Escalation
from webworker_executor.launch.launcher import Child, WorkerSpec
from webworker_executor.launch.witness import find_witness
from webworker_executor.link.fds import lift, send_all_fds, socket_pair
from webworker_executor.link.flag import Flag
from webworker_executor.link.ledger import UNKNOWN_ENTRY, Ledger
from webworker_executor.link.local import Link
from webworker_executor.pool.call import Call
from webworker_executor.pool.defined import Defined
from webworker_executor.pool.kin import make_known
from webworker_executor.rules.worker import STARTING
from webworker_executor.web import remains
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import (
    CLOSE,
    COUNT,
    FROM_WORKER,
    OF_SO_MANY,
    RAISE,
    RECALL,
    RECEIPT,
    REJECT,
    RESULT,
    SIGNAL,
    SIGNAL_ORDER,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    from webworker_executor.launch.witness import Witness
    from webworker_executor.link.reactor import Reactor
    from webworker_executor.pool.birth import Birth
    from webworker_executor.rules.worker import Worker
    from webworker_executor.wire.frame import Parts
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object

# Between being asked to leave and SIGTERM.
CLOSE_SECONDS = 5.0


class News(Protocol):
    """Who is told what a process does."""

    def launched(self, process: WorkerProcess) -> None:
        """It exists, or soon will: ``open`` it."""

    def launch_failed(self, process: WorkerProcess, error: Exception) -> None:
        """It could not be created."""

    def received(self, process: WorkerProcess, frames: list[Frame]) -> None:
        """It sent frames."""

    def withheld(self, process: WorkerProcess) -> None:
        """It begins nothing more of what it holds than it has ``begun``."""

    def exited(self, process: WorkerProcess) -> None:
        """It has ended and everything it wrote has been received."""


class WorkerProcess:
    """
    A process in the making, alive or dead.

    Args:
        worker: What the scheduler knows of it.
        news: Who is told.
        reactor: The I/O thread.
    """

    def __init__(self, worker: Worker, news: News, reactor: Reactor) -> None:
        self.worker = worker
        self._news = news
        self._reactor = reactor
        self._escalation = Escalation(reactor, self.failed)
        self.data: Link | None = None
        self._control: Link | None = None
        self._entry = UNKNOWN_ENTRY
        self._ledger: Ledger | None = None
        self._defined = Defined(reactor)
        self.n_recalled = self.n_withheld = self.n_returned = 0
        self._link: Link | None = None
        self._early: list[Frame] = []
        self.is_launched = self._has_failed = self.died_receiving = False
        self.is_withheld_early = False
        self.started = Flag()
        # The task whose end was asked for, with its process if need be.
        self.stopped_task = 0
        # Until when what that task has started may outlive the process.
        self.rest_until: float | None = None
        # The task of which it heard that.
        self.signaled_task = 0
        self.load_error: bytes | None = None
        self.why = ""
        self.witness: Witness | None = None
        self.created_at = time.monotonic()

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.worker!r} {self.child!r}>"

    @property
    def child(self) -> Child | None:
        """The process, once there is one."""
        return self._escalation.child

    @property
    def pid(self) -> int | None:
        """Its process id once it is known."""
        return None if self.child is None else self.child.pid

    @property
    def exitcode(self) -> int | None:
        """Its exit status, ``-signal`` if it was killed; ``None`` while not known."""
        return None if self.child is None else self.child.exitcode

    @property
    def title(self) -> str:
        """What errors, events and log lines call it."""
        return f"worker {self.worker.slot} (pid {self.pid})"

    def running(self) -> Call | None:
        """Return the task that it runs, as it notes itself; else the first that it was given."""
        inflight, ident = tuple(self.worker.inflight), self.begun()
        if ident is None:
            inflight = inflight[:1] if self.worker.state is not STARTING else ()
        else:
            inflight = tuple(task for task in inflight if task.ident == ident)
        return inflight[0] if inflight and isinstance(inflight[0], Call) else None

    # -- birth

    def launch(self, birth: Birth, ledger: Ledger | None) -> None:
        """Start the process; the pool hears how that went."""
        self.is_launched = True
        try:
            self._launch(birth, ledger)
        except Exception as error:
            # Also what Python says while it exits, such as "can't fork at interpreter shutdown".
            self.failed(error)

    def _launch(self, birth: Birth, ledger: Ledger | None) -> None:
        with contextlib.ExitStack() as far_ends:
            near, far = socket_pair()
            far_ends.callback(far.close)
            self._link = Link(
                near, self._reactor, FROM_WORKER, None, self._data_ended, self._received
            )
            self._link.expect(self._is_awaited)
            control, control_far = socket_pair()
            far_ends.callback(control_far.close)
            # A link before anything can fail: its socket is closed with it.
            self._control = Link(
                control, self._reactor, FROM_WORKER, None, self._control_ended, self._received
            )
            self.witness = find_witness(self._reactor, self, self.post_control)
            writers = [] if self.witness is None else [self.witness.writer]
            send_all_fds(control, [*birth.fds(), *writers])
            if self.witness is not None:
                # A process that is forked from this one shall not keep the pipe open.
                self.witness.handed_over()
            ledger_fd = None
            if ledger is not None:
                self._ledger, self._entry = ledger, ledger.claim()
                self.worker.is_noted = self._entry != UNKNOWN_ENTRY
                # A copy, because a fork closes what is the host's before it becomes a worker.
                ledger_fd = lift(ledger.fd)
                far_ends.callback(os.close, ledger_fd)
            # The first frame comes before any other: nobody else has the link yet.
            hello = birth.hello(self.worker.slot, self._entry, has_witness=bool(writers))
            self._link.send(hello)
            env = None if birth.env is None else {**os.environ, **birth.env}
            ends = far.fileno(), control_far.fileno(), ledger_fd
            spec = WorkerSpec(*ends, env, birth.inherited)
            birth.launcher.launch(spec, self._started, self.failed)
        if not self._has_failed:
            self._news.launched(self)

    def open(self, lock: AbstractContextManager[object]) -> None:
        """Let frames be posted; under the pool's ``lock``, which so keeps them in order."""
        if self._link is not None:
            self._link.leading.outer = lock
        self.data = self._link

    def _started(self, child: Child) -> None:
        try:
            self._escalation.take(child, self._exited)
        except OSError as error:
            self.failed(error)
        else:
            make_known(child, self.worker.slot)
            self.started.set()
            self._news.received(self, self._early)
            self._early = []

    def failed(self, error: Exception) -> None:
        """Take back what was opened for a process that does not come."""
        if self._has_failed:
            return
        self._has_failed = True
        self._close_links()
        self.started.set()
        self._news.launch_failed(self, error)

    # -- life

    @property
    def is_open(self) -> bool:
        """Whether frames can be posted."""
        return self.data is not None

    def post_message(self, parts: Parts, fds: Sequence[Any], *going: Any) -> bool:
        """Send a message; False if there is no link yet."""
        if self.data is None:
            return False
        self.data.send(parts, fds, *going)
        return True

    def post(self, call: Call) -> None:
        """Give a call to the link, unless it was given before; ``flush`` sends it. Any thread."""
        link = self.data
        if link is None or call.is_posted:
            return
        definition = call.definition
        if definition is not None and definition.ident not in self._defined.idents:
            self._defined.tell(link, definition)
        put, what = link.ready(call.parts, call.fds)
        # Stored in one breath with the call of C, so that the flag is right at every instant.
        call.is_posted = True
        put(what)
        if link.leading.is_leased and (len(self.worker.inflight) > 1 or call.future._is_watched):
            # Others than a leader wait for this worker now.
            link.leading.end_lease()

    def flush(self) -> None:
        """Send what was posted. Any thread."""
        if self.data is not None:
            self.data.flush()

    def recall(self, count: int) -> None:
        """Ask for tasks that have not begun, now or when it has got them. Any thread."""
        if not self.is_open:
            self.n_recalled = count
            return
        self.post_control(encode(RECALL, OF_SO_MANY, COUNT.pack(count)))

    def withhold(self) -> None:
        """Have it begin nothing more of what it has been sent, also if it hears nothing."""
        assert self._ledger is not None, "only who has an entry is withheld from"
        self.n_withheld += 1
        self._ledger.withhold(self._entry, self.n_withheld)
        # What it reads behind these marks it takes as usual; after a tear the next has its own.
        self.post_message(encode(RECALL, self.n_withheld), ())
        self.post_control(encode(RECALL, self.n_withheld))

    def post_control(self, parts: Parts, fds: Sequence[Any] = (), *going: Any) -> None:
        """Send a frame past the tasks, to the thread that has no tasks to run. Any thread."""
        if self._control is not None:
            self._control.send(parts, fds, *going)

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether its end, if it ends now, is that of the task that it was told to end."""
        return self.stopped_task > 0 and self.begun() in {None, self.stopped_task}

    def give_receipt(self, ident: int) -> None:
        """Tell a task, or with 0 the worker, that somebody took a message; any thread, any line."""
        self._reactor.call_soon(lambda: self.post_control(encode(RECEIPT, ident)))

    def signal_task(self, ident: int, number: int, until: float) -> None:
        """Have the process send itself a signal by then, if it runs a task. Any thread."""
        self.post_control(encode(SIGNAL, ident, SIGNAL_ORDER.pack(number, until)))

    def _is_awaited(self, kind: int, ident: int) -> bool:
        # All that it holds: answers that came in the same read have not been taken yet.
        is_held = any(task.ident == ident for task in tuple(self.worker.inflight))
        return is_held or kind not in {RESULT, RAISE, REJECT}

    def _received(self, frames: list[Frame]) -> None:
        if not self.started.is_set():
            # Of one that a zygote has forked and has not told of yet.
            self._early += frames
            return
        self._news.received(self, frames)

    # -- death

    def close(self) -> None:
        """Ask the process to leave; force it if it does not."""
        if self._link is not None:
            self._link.send(encode(CLOSE, 0))
        self._escalation.later(CLOSE_SECONDS, self.terminate)

    def terminate(self) -> None:
        """Send SIGTERM, and SIGKILL if that has not helped."""
        self._escalation.terminate()

    def leave(self, load_error: bytes) -> None:
        """Hear that the initializer failed and the process leaves; force it if it does not."""
        self.load_error = load_error
        self._escalation.later(CLOSE_SECONDS, self.terminate)

    def kill(self, why: str = "") -> None:
        """Send SIGKILL; a process that does not come soon is not waited for. Any thread."""
        self.why = self.why or why
        self._escalation.kill()

    def end(self, number: int, rest: float) -> None:
        """Send a signal as ``Escalation.end`` does. Any thread."""
        self._escalation.end(number, rest)

    def _data_ended(self, error: Exception | None) -> None:
        if isinstance(error, MemoryError):
            self.kill("the program had no memory left for what it sent")
        elif error is not None:
            self.kill(f"it wrote what is no frame ({error})")
        elif self.child is None or not self.child.ended.is_set():
            # The end of the link is a reason to kill, not proof of death.
            self._escalation.later(LAST_SECONDS, lambda: self.kill("it closed its link"))

    def _control_ended(self, error: Exception | None) -> None:
        if error is not None:
            self.kill(f"it wrote what is no frame ({error})")

    def _exited(self) -> None:
        # What it wrote before its end counts: a result that left is a result.
        for link in (self._control, self._link):
            if link is not None:
                link.read()
        for task in itertools.islice(self.worker.inflight, 1):
            assert isinstance(task, Call)
            self.died_receiving = self._link is not None and self._link.is_half_sent(task.parts)
        self._close_links()
        self.why = self.why or self._escalation.why
        assert self.child is not None
        until = self.rest_until if self.is_asked_to_stop else None
        remains.end_later(self.child, until or self.child.rest_until)
        self._news.exited(self)

    @property
    def was_killed(self) -> bool:
        """Whether a signal that was not ours ended it."""
        return not self._escalation.last_signal and self.exitcode in {-SIGKILL, -SIGTERM, None}

    def begun(self) -> int | None:
        """Return the task that the process began last, 0 for none, ``None`` if not known."""
        return None if self._ledger is None else self._ledger.begun(self._entry)

    def begun_at(self, ident: int) -> float | None:
        """Return when it began a task, if that is the one that it began last."""
        return None if self._ledger is None else self._ledger.begun_at(self._entry, ident)

    def _close_links(self) -> None:
        self._escalation.close()
        for link in (self._control, self._link):
            if link is not None:
                link.close()

    def last_words(self) -> str | None:
        """Return the stacks of the process when it died of a fault, if it could write them."""
        return None if self.witness is None else self.witness.last_words()

    def bury(self) -> None:
        """Give back what outlived the process; after it was asked for its end."""
        if self.witness is not None:
            self.witness.close()
        if self._ledger is not None:
            self._ledger.release(self._entry)
            self._ledger = None

    def disown(self) -> None:
        """In a forked copy of the host: let go of everything without touching the process."""
        for link in (self._control, self._link):
            if link is not None:
                link.disown()
        # Closed with the crew's other things.
        self._ledger = None
        if self.witness is not None:
            self.witness.disown()
        if self.child is not None:
            self.child.forget_after_fork()
