"""
What is done when a worker has died: the death is charged, told, and the process laid to rest.

Not for how a process is brought to its end (``process``, ``stopping``). On the reactor's thread,
with the pool's lock in hand.
"""

from __future__ import annotations

import time

from webworker_executor.launch.exit_status import how_it_ended
from webworker_executor.pool import broken
from webworker_executor.pool.answer import failure_opener
from webworker_executor.pool.call import Call
from webworker_executor.pool.talk import taken_back
from webworker_executor.rules.supervisor import UNKNOWN, Unknown, culprit_of
from webworker_executor.rules.worker import CLOSING, STARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.errors import WorkerCrashedError
    from webworker_executor.pool.parts import PoolParts
    from webworker_executor.pool.performer import Performer
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.rules import action as do
    from webworker_executor.rules.task import Task

    Break = Callable[[str, Callable[[], BaseException | None]], do.Actions]


class Burial:
    """
    Buries the dead of one pool.

    Args:
        parts: The pool's. Its scheduler is told.
        performer: Who performs, where the order matters.
        break_: Notes why the pool breaks, and returns what is to be done then.
    """

    def __init__(self, parts: PoolParts, performer: Performer, break_: Break) -> None:
        self._scheduler = parts.scheduler
        self._promises = parts.promises
        self._crew = parts.crew
        self._breakage = parts.breakage
        self._chronicle = parts.chronicle
        self._performer = performer
        self._break = break_

    def bury(self, process: WorkerProcess) -> do.Actions:
        """Take note of a death, after all that the dead had written has been received."""
        worker = process.worker
        was_asked = (
            worker.state is CLOSING or process.is_asked_to_stop or process.load_error is not None
        )
        if worker.state is STARTING and process.load_error is None:
            self._note_stillbirth(process)
        begun = self._begun(process)
        culprit = culprit_of(worker, begun)
        name = None if culprit is None else culprit.name
        self._chronicle.worker_exited(process, name, was_asked=was_asked)
        if self._breakage.on_crash and not was_asked and worker.state is not STARTING:
            n_calls = culprit.n_calls if isinstance(culprit, Call) else 1
            self._breakage.last_error = error_of_death(
                process, self._crew.birth.memory, name or "", n_calls, broken.POOL_BROKE
            )
        if process.load_error is not None:
            cause = failure_opener(process.load_error)
            self._performer.perform(self._break(broken.INITIALIZER_FAILED, cause))
        for task in worker.inflight:
            assert isinstance(task, Call)
            task.is_posted = False
            taken_back(task, self._crew.talks)
        self._performer.perform(
            self._scheduler.worker_exited(
                worker,
                begun,
                time.monotonic(),
                asked=process.is_asked_to_stop,
                transient=process.was_killed,
            )
        )
        self._crew.forget(process)
        return ()

    def _note_stillbirth(self, process: WorkerProcess) -> None:
        from webworker_executor.errors import WorkerStartError

        text = f"{process.title} {how_it_ended(process.exitcode)} before it was ready"
        why = _why_killed(process)
        if why:
            text += f". It was killed because {why}"
        self._breakage.last_error = WorkerStartError(text)

    def _begun(self, process: WorkerProcess) -> Task | Unknown | None:
        ident = process.begun()
        if ident is None:
            return UNKNOWN
        call = self._promises.calls.get(ident)
        if call is not None and call.worker is process.worker:
            return call
        # If it died while it was receiving the first task, that may be what killed it.
        return UNKNOWN if process.died_receiving else None


def error_of_death(
    process: WorkerProcess,
    memory: tuple[int | None, int | None] | None,
    task: str,
    n_calls: int,
    outcome: str | None = None,
) -> WorkerCrashedError:
    """
    Make the error that tells how a worker died.

    Args:
        process: The dead.
        memory: How much its workers may have, as ``Birth`` has it.
        task: What it was running, empty for nothing.
        n_calls: How many calls of that it was given as one task.
        outcome: What that means for the rest, if not that it goes on.
    """
    if outcome is None and process.child is not None and process.child.why:
        outcome = broken.ALL_OF_ZYGOTE_FAILED
    return broken.crashed(
        process.worker.slot,
        process.pid,
        process.exitcode,
        task,
        _why_killed(process),
        process.last_words(),
        None if memory is None else memory[1],
        n_calls,
        outcome,
    )


def _why_killed(process: WorkerProcess) -> str:
    return process.why or ("" if process.child is None else process.child.why)
