"""
Workers as ``multiprocessing`` sees them: children of the program, as those of the stdlib's pool.

Programs that want to be rid of all workers at once look for them there. Not for what a worker finds
out about itself; that is told in it.
"""

from __future__ import annotations

import sys
from weakref import WeakValueDictionary

from webworker_executor.web.host import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from webworker_executor.launch.launcher import Child
    from webworker_executor.link.rights import Descriptor


class Kin:
    """
    A worker among ``multiprocessing.active_children()``, and in an executor's ``_processes``.

    Args:
        child: The process.
        place: The worker's index, of which its name is made, here and in the worker itself.
    """

    daemon = False

    def __init__(self, child: Child, place: int) -> None:
        self._child = child
        self._held: Descriptor | None = None
        self.name = f"WebWorker-{place}"
        self.pid = self.ident = child.pid
        self.is_alive, self.join = child.is_alive, child.join
        self.terminate, self.kill = child.terminate, child.kill

    def __repr__(self) -> str:
        return f"<{self.name} {self._child!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kin) and self._child is other._child

    def __hash__(self) -> int:
        return hash(self._child)

    @property
    def sentinel(self) -> int:
        """
        A descriptor that is ready when the process has ended, for ``multiprocessing.connection``.

        Raises:
            ValueError: There is none: it has ended already, or the kernel has no pidfd.
        """
        # From now on it lives as long as this: somebody waits for it.
        if self._held is None:
            self._held = self._child.held
        if self._held is None:
            raise ValueError(f"{self.name} has no descriptor to wait for; join() waits as well")
        return self._held.fileno()

    @property
    def exitcode(self) -> int | None:
        """``None`` while it runs or when the status is not known; ``-signal`` if it was killed."""
        return self._child.exitcode

    @property
    def _popen(self) -> Kin:
        # `multiprocessing` reads this to decide whether to drop a child.
        return self

    def poll(self) -> int | None:
        """
        Return the exit status, 0 for one that is not known, or ``None`` while it runs.

        At its own exit, `multiprocessing` waits for all that it has: by then the executor has done
        what is to be done, and may have nobody any more who would see the end.
        """
        return None if self.is_alive() and not host.is_exiting else self.exitcode or 0


# By the process, which each keeps: one that nobody refers to any more is not here either.
_living: WeakValueDictionary[Child, Kin] = WeakValueDictionary()


def kin_of(child: Child, place: int) -> Kin:
    """
    Return what stands for a process: the same to all who look, for what is set on it is to last.

    Args:
        child: The process.
        place: The worker's index.
    """
    return _living.setdefault(child, Kin(child, place))


def make_known(child: Child, place: int) -> None:
    """
    Have ``multiprocessing`` count a process among its own, if the program has imported it.

    Args:
        child: The process.
        place: The worker's index.

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
    children.add(kin_of(child, place))
