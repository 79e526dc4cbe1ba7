"""
Making a worker, and waiting until it is ready, as one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webworker_executor.web.worker import Worker

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from webworker_executor.web.outcome import WorkerOutcome


def create_worker(
    script: str | os.PathLike[str] | Callable[..., object] | None = None,
    args: Sequence[Any] = (),
    /,
    **options: Any,
) -> WorkerOutcome[Worker]:
    """
    Make a worker, and return a future of it that resolves when it is ready.

    The future holds the worker meanwhile. It fails as ``Worker.ready`` does, and then the process
    is gone or going, and nothing is written to standard error; like that, it cannot be cancelled,
    and can be awaited. A handler that is
    assigned to the worker right after that misses nothing: messages wait for it.

    Args:
        script: As of ``Worker``; ``None`` with ``source=``, ``module=`` or ``command=``.
        args: What follows the script's name in its ``sys.argv``; of a callable, its arguments.
        **options: The other arguments of ``Worker``.

    Raises:
        TypeError: An argument is of the wrong type, unknown or given twice, or there is nothing to
            run.
        ValueError: An argument has a value that it cannot have.
        RuntimeError: The interpreter is exiting.
        Exception: What packing the callable, its arguments or the data raises, with a note that
            names which.

    Source: worker-process, ``createWorker``.
    """
    worker = Worker.__new__(Worker)
    # First: it may fail before its constructor has returned, and nobody is told that twice.
    worker._has_future = True
    Worker.__init__(worker, script, argv=args, **options)
    return worker.ready.then(worker)
