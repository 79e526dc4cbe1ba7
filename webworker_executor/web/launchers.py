"""
Launchers by their names, for workers of a pool and for those of one's own.

Each launcher is imported by those who want it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from webworker_executor.launch.launcher import Launcher

    LauncherName = Literal["spawn", "zygote", "fork"]


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
    return launcher
