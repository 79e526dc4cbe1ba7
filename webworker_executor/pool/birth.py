"""
What every worker of a pool is born with, and the first frame, which tells it.

Not for how the process comes to be: launchers do that, for ``process``.
"""

from __future__ import annotations

import sys

from webworker_executor.web.hello import lay_out_hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.pool.logs import Logs
    from webworker_executor.wire.frame import Parts


class Birth:
    """
    What every worker of a pool is born with.

    Args:
        launcher: How it is started.
        name: Of the pool.
        env: Environment variables beside the program's own.
        logs: What of their logging is wanted here, ``None`` for nothing.

    Attributes:
        initializer: The packed initializer and its arguments, or ``None``.
        initializer_fds: What goes with it.
        inherited: The initializer and its arguments for a process that finds them in memory.
        worker_data: A packed value for ``scope.worker_data``, or ``None``.
        carried: The descriptors in the data, and those in the initializer's arguments; each worker
            gets duplicates, so they are kept as long as there may be one more.
        memory: Bytes above which it leaves, and bytes that it may have during a task; or ``None``
            where neither was asked for.
    """

    def __init__(
        self,
        launcher: Launcher,
        name: str = "",
        env: Mapping[str, str] | None = None,
        logs: Logs | None = None,
    ) -> None:
        self.launcher = launcher
        self.name = name
        self.env = env
        self.logs = logs
        self.initializer: bytes | None = None
        self.initializer_fds: list[int] = []
        self.inherited: object = None
        self.worker_data: tuple[bytes, Sequence[Any]] | None = None
        self.carried: tuple[Sequence[Any], Sequence[Any]] = (), ()
        self.memory: tuple[int | None, int | None] | None = None

    def fds(self) -> list[int]:
        """Return the numbers of the descriptors that every worker gets."""
        of_data, of_initializer = self.carried
        return [*self.initializer_fds, *(fd.fileno() for fd in (*of_data, *of_initializer))]

    def hello(self, slot: int, entry: int, *, has_witness: bool = False) -> Parts:
        """
        Lay out the first frame for a worker.

        Args:
            slot: Its place.
            entry: Its entry in the ledger.
            has_witness: Whether the last descriptor it gets is for its stacks.
        """
        particulars: dict[str, Any] = {
            "main": None,
            "ledger_entry": entry,
            "n_fds": len(self.initializer_fds) + sum(map(len, self.carried)) + has_witness,
            "n_carried": tuple(map(len, self.carried)),
            "logs": None if self.logs is None else self.logs.told(),
            "initializer": self.initializer,
            "worker_data": self.worker_data,
            "memory": self.memory,
        }
        if not self.launcher.shares_memory:
            file = getattr(sys.modules.get("__main__"), "__file__", None)
            particulars["main"] = {} if file is None else {"__file__": file}
        return lay_out_hello(
            self.launcher,
            self.env,
            index=slot,
            name=self.name,
            has_witness=has_witness,
            **particulars,
        )
