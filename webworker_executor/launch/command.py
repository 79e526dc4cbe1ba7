"""
Start any program as a worker: its end of the channel stands at descriptor 3.

A small interpreter stands in for the program until it has done what the kernel asks of a process
itself (directory, limits, user, the tie to the host's life), and then becomes it by exec(2), with
the same process id. Ten milliseconds, and there is no moment at which a program could be left
behind by a host that is killed.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from webworker_executor.launch.launcher import DATA_FD, FD_VARIABLE, Child, interpreter
from webworker_executor.launch.spawn import PACKAGE_ROOT, RESET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webworker_executor.launch.stdio import Streams

_BOOTSTRAP = (
    "import sys, posix; posix.closerange(4, 1 << 20); "
    "sys.path.insert(0, {root!r}); "
    "from webworker_executor.child.command import main; main({host}, {command!r}, {settings!r})"
)


def start_command(
    command: Sequence[str],
    data: int,
    *,
    settings: Mapping[str, Any],
    streams: Streams,
    env: Mapping[str, str] | None = None,
) -> Child:
    """
    Start a program; on the reactor's thread, whose end would be the program's.

    Args:
        command: The program, looked up on the ``PATH`` of its environment, and its arguments.
        data: Its end of the channel; stays the caller's.
        settings: From ``limits.settings``.
        streams: Its standard streams; they stay the caller's.
        env: Variables laid over this program's own, and over the one that names the channel.

    Raises:
        FileNotFoundError: There is no such program.
        OSError: The process cannot be created.
    """
    # A worker of another parent may have a channel elsewhere, of which its workers know nothing.
    variables = {**os.environ, FD_VARIABLE: str(DATA_FD), **(env or {})}
    directory = settings["cwd"] or os.curdir
    path = command[0]
    if os.sep in path:
        found = shutil.which(os.path.join(directory, path))
    else:
        found = shutil.which(path, path=variables.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(
            f"there is no program {path!r} that could be run. Give its full path, or see PATH."
        )
    python = interpreter()
    code = _BOOTSTRAP.format(
        root=PACKAGE_ROOT,
        host=os.getpid(),
        command=[os.path.abspath(found), *command],
        settings=dict(settings),
    )
    actions = [*streams.actions, (os.POSIX_SPAWN_DUP2, data, DATA_FD)]
    pid = os.posix_spawn(
        python,
        [python, "-I", "-S", "-c", code],
        variables,
        file_actions=actions,
        setpgroup=0,
        setsigmask=[],
        setsigdef=RESET,
    )
    return Child(pid)
