"""
The options of a `Worker`, checked, and the life that follows from them.

Not for what the options mean: the class tells. Wrong use is told here, at the call; what only turns
out later (a missing script) is told by events.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from webworker_executor.launch.launcher import interpreter, interpreter_flags
from webworker_executor.launch.limits import check_env, settings
from webworker_executor.launch.stdio import Streams
from webworker_executor.web.launchers import find_launcher
from webworker_executor.web.native import NativeLife, Plan
from webworker_executor.web.raw import JsonLife, MsgpackLife, RawLife
from webworker_executor.web.script import make_script
from webworker_executor.web.seconds import ENDLESS, check_seconds
from webworker_executor.wire.messagepack import check_installed
from webworker_executor.wire.shown import shown

if TYPE_CHECKING:
    from webworker_executor.web.script import Script

CODECS = ("pickle", "raw", "json", "msgpack")
_LIVES = {"json": JsonLife, "msgpack": MsgpackLife}


def make_life(
    *,
    script: Any,
    source: Any,
    module: Any,
    command: Any,
    codec: Any,
    name: Any,
    argv: Any,
    worker_data: Any,
    env: Any,
    cwd: Any,
    executable: Any,
    interpreter_args: Any,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    limits: Any,
    user: Any,
    group: Any,
    nice: Any,
    umask: Any,
    cpu_affinity: Any,
    start_new_session: Any,
    handshake_timeout: Any,
    max_duration: Any,
    launcher: Any,
) -> NativeLife | RawLife:
    """
    Check what a `Worker` was given, and make the life of its process.

    Raises:
        Exception: As the class tells.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a text, not {shown(name)}")
    check_env(env)
    times = _seconds("handshake_timeout", handshake_timeout), _seconds("max_duration", max_duration)
    folder = None if cwd is None else os.path.abspath(os.fspath(cwd))
    own = settings(
        cwd=folder,
        limits=limits,
        nice=nice,
        user=user,
        group=group,
        umask=umask,
        cpu_affinity=cpu_affinity,
        start_new_session=start_new_session,
    )
    flags = _texts("interpreter_args", interpreter_args)
    program = None if executable is None else os.fsdecode(executable)
    wanted = _raw_command(script, source, module, command, codec, argv)
    if wanted is not None:
        _check_raw(command, launcher, program, flags)
        if worker_data is not None:
            raise ValueError("worker_data needs pickle; to a command, send a message or arguments")
        title = os.fspath(wanted[0])
        if isinstance(wanted, tuple):
            wanted = [program or interpreter(), *interpreter_flags(), *flags, *wanted]
        streams = Streams(stdin, stdout, stderr)
        environ = None if env is None else {**os.environ, **env}
        life = _LIVES.get(codec, RawLife)
        return life(name or title, wanted, own, environ, streams, *times)
    what = make_script(script, source, module, argv)
    how = find_launcher(launcher)
    streams = Streams(stdin, stdout, stderr)
    if how.name != "spawn" and (flags or program or not streams.is_default):
        streams.close()
        raise ValueError(
            f"launcher={how.name!r} forks a process that is there, with its interpreter and its "
            "streams; use 'spawn' with executable, interpreter_args, stdin, stdout and stderr"
        )
    try:
        plan = Plan(what, how, name, worker_data, env, own, program, flags)
        return NativeLife(plan, streams, *times)
    except BaseException:
        streams.close()
        raise


def _raw_command(
    script: Any, source: Any, module: Any, command: Any, codec: Any, argv: Any
) -> list[str] | tuple[str, ...] | None:
    """Return the whole command, a tuple of what follows an interpreter, or ``None``."""
    if codec is not None and codec not in CODECS:
        raise ValueError(f"codec must be one of {', '.join(CODECS)}, not {codec!r}")
    if codec == "msgpack":
        check_installed()
    if command is not None:
        if script is not None or source is not None or module is not None:
            raise TypeError("a worker runs one thing: give command= alone")
        if codec == "pickle":
            raise ValueError(
                "a command speaks the raw profile, in bytes or in values that any language has: "
                "codec='raw', codec='json' or codec='msgpack'"
            )
        words = _texts("command", command)
        if not words:
            raise ValueError("command is empty; its first word is the program")
        return [*words, *_texts("argv", argv)]
    if codec is None or codec == "pickle":
        return None
    what: Script = make_script(script, source, module, argv)
    if what.kind == "path":
        return what.argv
    if what.kind == "module":
        return ("-m", *what.argv)
    raise ValueError(f"codec={codec!r} runs a path or a module in a plain interpreter")


def _check_raw(command: object, launcher: Any, program: str | None, flags: list[str]) -> None:
    """Refuse what a process of the raw profile would not heed."""
    how = find_launcher(launcher)
    if how.name != "spawn":
        raise ValueError(
            f"launcher={how.name!r} runs Python that speaks the package's own profile; a command, "
            "or a script with codec='raw' or 'json', is a program of its own. Leave launcher out"
        )
    if command is not None and (program is not None or flags):
        raise ValueError(
            "executable and interpreter_args are for a script; the first word of command is its "
            "program, and its options follow there"
        )


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a list of texts, not {shown(value)}")
    words = [os.fspath(word) if isinstance(word, os.PathLike) else word for word in value]
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"{name} must be texts, and {shown(word)} is none")
    return words


def _seconds(name: str, value: Any) -> float:
    """Return a limit, 0 for none."""
    if value is None:
        return 0.0
    seconds = check_seconds(name, value, may_be_endless=True, hint="0 is for ever")
    return 0.0 if seconds == ENDLESS else seconds
