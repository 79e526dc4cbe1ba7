"""
Launchers by their names, for workers of a pool and for those of one's own.

Each launcher is imported by those who want it.
"""

from __future__ import annotations

from webworker_executor.link.journal import Journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from webworker_executor.launch.launcher import Launcher

    LauncherName = Literal["spawn", "zygote", "fork"]

_log = Journal("webworker_executor.web")


def find_launcher(launcher: str | Launcher, *, is_shared: bool = True) -> Launcher:
    """
    Return the launcher of a name.

    Args:
        launcher: A name, or a launcher.
        is_shared: Whether the zygote of the program will do: the second worker costs a fork then,
            and no interpreter any more.

    Raises:
        ValueError: There is none of that name.
        TypeError: This is no launcher.
    """
    if launcher == "spawn":
        from webworker_executor.launch.spawn import SpawnLauncher

        return SpawnLauncher()
    if launcher == "zygote":
        from webworker_executor.launch import zygote

        return zygote.shared if is_shared else zygote.ZygoteLauncher()
    if launcher == "fork":
        from webworker_executor.launch.fork import ForkLauncher

        return ForkLauncher()
    if isinstance(launcher, str):
        raise ValueError(f"launcher must be 'spawn', 'zygote' or 'fork', not {launcher!r}")
    if not hasattr(launcher, "launch"):
        raise TypeError(f"launcher must be a name or a launcher, not {type(launcher).__name__}")
    if isinstance(launcher, type):
        # It has all that a launcher has, and nothing can be called: who waits would be told late.
        raise TypeError(
            f"launcher must be a launcher, not the class of some: give {launcher.__name__}(), with "
            "parentheses"
        )
    return launcher


def close_launcher(launcher: Launcher, on_closed: Callable[[], object]) -> None:
    """
    Let go of a launcher, and go on also where that fails: it may be one of the user's own.

    Args:
        launcher: The launcher; on the reactor's thread.
        on_closed: Called when nothing of it is left; twice, maybe, where it fails after that.
    """
    try:
        launcher.close(on_closed)
    except Exception as error:
        _log.warning("a launcher could not be closed: %s: %s", type(error).__name__, error)
        on_closed()
