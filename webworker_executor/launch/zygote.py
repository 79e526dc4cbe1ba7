"""
Start workers by forking a clean process that was started for it.

The zygote is a fresh interpreter with one thread, so a fork of it has none of the dangers of a fork
of the program, and costs half a millisecond, with every preloaded module shared.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from webworker_executor.launch.zygote_process import Zygote
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from webworker_executor.launch.launcher import Child, WorkerSpec
    from webworker_executor.link.reactor import Reactor


class ZygoteLauncher:
    """
    Forks of a process that is clean and warm: the first as slow as spawn, each after much faster.

    One launcher may serve several executors, also at a time. Its process lives as long as any of
    them does; in a ``with`` statement it lives to the end of that, so that each executor finds it
    there, or as long as an executor that outlives the statement::

        with ZygoteLauncher(preload=["numpy"]) as zygote:
            for job in jobs:
                with WebWorkerExecutor(launcher=zygote) as executor: ...

    Args:
        preload: Names of modules that the zygote imports before it forks. One that fails to import
            is reported on standard error and left to the workers.

    Raises:
        TypeError: ``preload`` is one string, or holds something else than strings.
    """

    name = "zygote"
    starts_all_at_once = False
    shares_memory = False
    passes_surroundings = False

    def __init__(self, preload: Iterable[str] = ()) -> None:
        if isinstance(preload, str):
            raise TypeError(f"preload must be module names, such as [{preload!r}], not one string")
        if not isinstance(preload, Iterable):
            raise TypeError(f"preload must be names of modules, not {shown(preload)}")
        self._preload = list(preload)
        for module in self._preload:
            if not isinstance(module, str):
                raise TypeError(f"preload must be names of modules, and {shown(module)} is none")
        self._forget()

    def _forget(self) -> None:
        self._owner = os.getpid()
        # Guards the fields below: users come and go on the reactor's thread, a `with` on any.
        self._lock = threading.RLock()
        self._n_users = 0
        self._n_keepers = 0
        self._reactor: Reactor | None = None
        self._zygote: Zygote | None = None

    def __repr__(self) -> str:
        return f"<ZygoteLauncher preload={self._preload!r} users={self._n_users}>"

    def __enter__(self) -> Self:
        """Keep the process, once it is there, to the end of the ``with`` statement."""
        if self._owner != os.getpid():
            self._forget()
        with self._lock:
            self._n_keepers += 1
        return self

    def __exit__(self, *_: object) -> None:
        if self._owner != os.getpid():
            # A forked copy of the program that leaves the statement, too: the process is not its.
            return
        with self._lock:
            self._n_keepers -= 1
            zygote = self._zygote
            if self._n_keepers or self._n_users or zygote is None:
                return
            self._zygote = None
        zygote.end()

    def open(self, reactor: Reactor) -> None:
        """Take up a user; for the executor, as `launch` and `close` are."""
        if self._owner != os.getpid():
            # A forked copy of the program: the process and the users are the parent's.
            self._forget()
        with self._lock:
            self._reactor = reactor
            if self._zygote is not None:
                self._zygote.attach(reactor)
            # Afterwards: where that raises there is no user, and none that is closed.
            self._n_users += 1

    def launch(
        self,
        spec: WorkerSpec,
        on_started: Callable[[Child], object],
        on_failed: Callable[[Exception], object],
    ) -> None:
        """Ask the zygote for a worker, and start it first if need be; for the executor."""
        assert self._reactor is not None
        try:
            with self._lock:
                zygote = self._zygote
                if zygote is None or zygote.is_gone:
                    zygote = Zygote(spec.environ, is_kept=self._n_keepers > 0)
                    self._zygote = zygote
                    zygote.attach(self._reactor)
                    zygote.greet(self._preload)
            zygote.ask(spec, on_started, on_failed)
        except OSError as error:
            on_failed(error)

    def close(self, on_closed: Callable[[], object]) -> None:
        """Let go of a user, for the executor; with the last the zygote ends, unless it is kept."""
        with self._lock:
            self._n_users -= 1
            zygote = self._zygote
            if self._n_users or zygote is None or zygote.is_gone:
                zygote = None
            elif self._n_keepers and zygote.is_kept and zygote.is_at_rest:
                zygote.detach()
                zygote = None
            else:
                self._zygote = None
        if zygote is None:
            on_closed()
        else:
            zygote.close(on_closed)


shared = ZygoteLauncher()
"""What all users who do not ask for more than a zygote have in common."""
