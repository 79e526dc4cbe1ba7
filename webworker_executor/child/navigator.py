"""
What a worker runs on.

Source: HTML, ``WorkerNavigator``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.web.locks import LockManager


class WorkerNavigator:
    """
    What a worker may ask of the machine and the interpreter.

    Source: HTML, ``NavigatorConcurrentHardware``, ``NavigatorID``, ``NavigatorLanguage``,
    ``NavigatorOnLine``; Web Locks, ``NavigatorLocks``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<WorkerNavigator {self.user_agent}>"

    @property
    def hardware_concurrency(self) -> int:
        """
        How many processors this process may keep busy, at least 1.

        As many as it may run on, or as the quota of its control group allows, rounded up.
        """
        from webworker_executor.link.cpus import count_cpus

        return count_cpus()

    @property
    def platform(self) -> str:
        """The system and the processor, such as ``"Linux x86_64"``."""
        name = os.uname()
        return f"{name.sysname} {name.machine}"

    @property
    def user_agent(self) -> str:
        """The package and the interpreter: ``"webworker_executor/0.1.0 CPython/3.13.1"``."""
        # Not by an import: the root imports everything, for those who read types.
        package = sys.modules["webworker_executor"].__version__
        version = ".".join(map(str, sys.version_info[:3]))
        name = {"cpython": "CPython"}.get(sys.implementation.name, sys.implementation.name)
        return f"webworker_executor/{package} {name}/{version}"

    @property
    def language(self) -> str:
        """The language of the surroundings as a tag: ``"en-GB"``, or ``"en"`` if none is set."""
        names = ("LC_ALL", "LC_MESSAGES", "LANG")
        found = next((os.environ[name] for name in names if os.environ.get(name)), "")
        tag = found.partition(".")[0].replace("_", "-")
        return tag if tag and tag not in {"C", "POSIX"} else "en"

    @property
    def on_line(self) -> bool:
        """Always true: nobody knows better without asking the network."""
        return True

    @property
    def locks(self) -> LockManager:
        """``webworker_executor.locks``: named locks of all processes of the program."""
        from webworker_executor.web.locks import locks

        return locks


navigator = WorkerNavigator()
