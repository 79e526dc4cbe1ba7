"""
What is said when a worker dies or a pool breaks.

The errors themselves are imported when one is made: with ``BrokenProcessPool`` they draw in 12 ms
of ``multiprocessing``, which a program that meets none need not wait for.
"""

from __future__ import annotations

from webworker_executor.launch.exit_status import how_it_ended, signal_name
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.errors import (
        BrokenWorkerPool,
        TaskAborted,
        TaskTimeout,
        WorkerCrashedError,
    )

# The stdlib's words, which programs and tests look for.
SUBMIT_TO_BROKEN = "A child process terminated abruptly, the process pool is not usable anymore"
PENDING_IN_BROKEN = (
    "A process in the process pool was terminated abruptly while the future was running or pending."
)
AFTER_SHUTDOWN = "cannot schedule new futures after shutdown"
NO_RESIZE = "the executor was shut down; there are no workers any more to be made more or fewer"
IN_FORKED_CHILD = (
    "this executor belongs to the parent process: its workers answer there, not in a forked "
    "child. Make a new WebWorkerExecutor in the child."
)
WAIT_WITHIN_STEP = (
    "a signal handler waits for a task in the middle of a call of its executor, such as submit(), "
    "which it has interrupted and which must end first: it would wait for ever. Submit in the "
    "handler, and wait outside"
)
END_WITHIN_STEP = (
    "a signal handler waits for the end of an executor in the middle of one of its calls, such as "
    "submit(), which it has interrupted and which must end first: it would wait for ever. The "
    "executor is shut down all the same. Call shutdown(wait=False) in the handler, and wait outside"
)
INITIALIZER_FAILED = "the initializer of a worker raised an exception, so that no task can run"
ENDED_BY_FORCE = "the workers were ended by terminate_workers() or kill_workers()"
OUT_OF_TIME = (
    "the executor was shut down, and this task had not ended within the timeout of that shutdown"
)
ABANDONED = "the program was interrupted, and its pool ended without waiting for this task"
CANNOT_START = (
    "no worker could be started after several tries, so that no task can run. A worker that ends "
    "before it is ready writes its own words to standard error. What is submitted from now on is "
    "tried anew"
)
ONE_TASK_FAILED = "Only this task failed; a new worker takes the place."
ONE_CHUNK_FAILED = (
    "Only this chunk failed, and with it those of its calls that were done, and those that had not "
    "begun: how many is not known. With chunksize=1, map() makes a task of each call. A new worker "
    "takes the place."
)
ALL_OF_ZYGOTE_FAILED = "The tasks that those ran failed, and no other; new ones take the places."
POOL_BROKE = 'That broke the pool, as on_crash="break" asks for.'

_LIKELY = {
    "SIGKILL": (
        "That is often the kernel's out-of-memory killer; see dmesg. Use fewer workers or smaller "
        "inputs."
    ),
    "SIGSEGV": "That is a bug in an extension module or in C code it calls.",
    "SIGILL": "That is a bug in an extension module, or one that was built for another processor.",
    "SIGFPE": "That is a division by zero in C code.",
    "SIGABRT": "C code in the task called abort(), as a failed assertion does.",
    "SIGBUS": "A mapped file was cut, or /dev/shm is full.",
    "SIGTERM": "Somebody asked it to end.",
    "SIGXCPU": "It has used the processor time that a limit allows.",
    None: "The task ended its own process, or C code in it did.",
}


def crashed(
    index: int,
    pid: int | None,
    exitcode: int | None,
    task: str,
    why: str = "",
    stack: str | None = None,
    memory_limit: int | None = None,
    n_calls: int = 1,
    outcome: str | None = None,
) -> WorkerCrashedError:
    """
    Make the error of a worker's death, most often that of the one task that it was running.

    Its ``outcome`` is by default that the pool goes on.
    """
    from webworker_executor.errors import WorkerCrashedError

    name = signal_name(exitcode)
    hint = _LIKELY.get(name, "Somebody sent it that signal, maybe the task itself.")
    if why:
        hint = f"It was killed because {why}."
    elif memory_limit is not None and name in {"SIGSEGV", "SIGABRT", None}:
        hint += (
            f" It could have at most {memory_limit >> 20} MiB (memory_limit), and C code often "
            "ends the process when it gets no more."
        )
    if outcome is None:
        outcome = ONE_TASK_FAILED if n_calls == 1 else ONE_CHUNK_FAILED
    what = task if n_calls == 1 else f"a chunk of {n_calls} calls of {task}"
    error = WorkerCrashedError(
        f"worker {index} (pid {pid}) {how_it_ended(exitcode)} while "
        f"{f'running {what}' if task else 'it was idle'}. {hint} {outcome}",
        pid=pid,
        exitcode=exitcode,
        signal_name=name,
        task=task,
        stack=stack,
    )
    if stack:
        error.add_note(f"The worker's last words:\n{stack}")
    return error


def aborted(task: str, reason: object) -> TaskAborted:
    """Make the error of a task that was stopped on purpose."""
    from webworker_executor.errors import TaskAborted

    try:
        because = "" if reason is None else f": {reason}"
    except Exception:
        # The task is to be stopped, also for a reason that has no text.
        because = f": {shown(reason)}"
    return TaskAborted(f"{task} was aborted{because}", reason)


def overdue(task: str, seconds: float, stack: str = "") -> TaskTimeout:
    """Make the error of a task that ran longer than it was allowed to."""
    from webworker_executor.errors import TaskTimeout

    error = TaskTimeout(
        f"{task} ran for more than {seconds} s and was stopped. Give it more time with "
        "executor.options(timeout=...), or less to do.",
        stack or None,
    )
    if stack:
        error.add_note(f"What its worker was doing:\n{stack}")
    return error


def broken(text: str, cause: BaseException | None) -> BrokenWorkerPool:
    """Make one error of a broken pool; each future gets its own."""
    from webworker_executor.errors import BrokenWorkerPool

    if cause is not None and text in {INITIALIZER_FAILED, CANNOT_START}:
        text = f"{text}: {type(cause).__name__}: {cause}"
    error = BrokenWorkerPool(text)
    error.__cause__ = cause
    return error


class Breakage:
    """
    Whether and why a pool is broken; written under the pool's lock.

    Args:
        on_crash: Whether a worker's death breaks the pool, as the stdlib has it.

    Attributes:
        text: What ``submit`` says, or ``None`` while the pool works.
        last_error: The last thing that went wrong: at a start, or by a death that breaks the pool.
    """

    def __init__(self, *, on_crash: bool) -> None:
        self.on_crash = on_crash
        self.text: str | None = None
        self.last_error: BaseException | None = None
        self._task_text = PENDING_IN_BROKEN
        self._cause: Callable[[], BaseException | None] = lambda: None

    @property
    def is_broken(self) -> bool:
        """Whether the pool is out of order."""
        return self.text is not None

    def note(self, text: str, cause: Callable[[], BaseException | None]) -> None:
        """Remember why; the first reason counts. The cause is made when somebody looks."""
        if self.text is not None:
            return
        if self.on_crash and text == INITIALIZER_FAILED:
            # In the stdlib's words: what the cause says, it leaves to the log.
            self.text = SUBMIT_TO_BROKEN
        else:
            self.text = self._task_text = text
        self._cause = cause

    def note_action(self, by_worker: bool) -> None:
        """Remember that the scheduler broke the pool, because of a worker or because told to."""
        if self.text is None:
            self.text = SUBMIT_TO_BROKEN
            if by_worker:
                error = self.last_error
                self._cause = lambda: error

    def error_of_start(self) -> BrokenWorkerPool:
        """Make an error for a task for which no worker could be started, in a pool that goes on."""
        return broken(CANNOT_START, self.last_error)

    def error_of_submit(self) -> BrokenWorkerPool:
        """Make an error for a call that came too late."""
        return broken(self.text or SUBMIT_TO_BROKEN, self._cause())

    def error_of_task(self) -> BrokenWorkerPool:
        """Make an error for a task that was running or waiting."""
        return broken(self._task_text, self._cause())
