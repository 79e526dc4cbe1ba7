"""
Workers as ``multiprocessing`` sees them: children of the program, as those of the stdlib's pool.

Programs that want to be rid of all workers at once look for them there. Not for what a worker finds
out about itself; that is told in it.
"""

from __future__ import annotations

import sys

from webworker_executor.web.host import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from webworker_executor.launch.launcher import Child


class Kin:
    """
    A worker among ``multiprocessing.active_children()``.

    Args:
        child: The process.
        name: What it is called in the worker, too.
    """

    daemon = False

    def __init__(self, child: Child, name: str) -> None:
        self._child = child
        self.name = name
        self.pid = self.ident = child.pid
        self.is_alive, self.join = child.is_alive, child.join
        self.terminate, self.kill = child.terminate, child.kill

    def __repr__(self) -> str:
        return f"<{self.name} {self._child!r}>"

    @property
    def exitcode(self) -> int | None:
        """``None`` while it runs or when the status is not known; ``-signal`` if it was killed."""
        return self._child.exitcode

    @property
    def _popen(self) -> Kin:
        # By this, `multiprocessing` asks whether it is to forget one.
        return self

    def poll(self) -> int | None:
        """
        Return the exit status, 0 for one that is not known, or ``None`` while it runs.

        At its own exit, `multiprocessing` waits for all that it has: by then the executor has done
        what is to be done, and may have nobody any more who would see the end.
        """
        return None if self.is_alive() and not host.is_exiting else self.exitcode or 0


def make_known(child: Child, name: str) -> None:
    """
    Have ``multiprocessing`` count a process among its own, if the program has imported it.

    Args:
        child: The process.
        name: Its name.

    Source: ``multiprocessing.active_children``, of which the list is private.
    """
    children: set[Any] | None = getattr(
        sys.modules.get("multiprocessing.process"), "_children", None
    )
    if children is None:
        return
    # Most programs never ask, and workers come and go.
    for kin in list(children):
        if type(kin) is Kin and not kin.is_alive():
            children.discard(kin)
    children.add(Kin(child, name))
