"""
The options of a `Worker`, checked, and the life that follows from them.

Not for what the options mean: the class tells. Wrong use is told here, at the call; what only turns
out later (a missing script) is told by events.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
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
    from collections.abc import Callable, Iterable, Mapping

    from webworker_executor.launch.launcher import Launcher
    from webworker_executor.launch.limits import Limits
    from webworker_executor.web.script import Script

CODECS = ("pickle", "raw", "json", "msgpack")
ON_UNCAUGHT = ("report", "exit")
_LIVES = {"json": JsonLife, "msgpack": MsgpackLife}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a `Worker` was given, as that class tells, and not yet checked."""

    script: str | os.PathLike[str] | Callable[..., object] | None
    source: str | None
    module: str | None
    command: Sequence[str] | None
    codec: str | None
    name: str
    argv: Sequence[Any]
    worker_data: Any
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None
    executable: str | os.PathLike[str] | None
    interpreter_args: Sequence[str]
    stdin: Any
    stdout: Any
    stderr: Any
    limits: Limits | None
    user: str | int | None
    group: str | int | None
    nice: int
    umask: int | None
    cpu_affinity: Iterable[int] | None
    start_new_session: bool
    handshake_timeout: float | None
    max_duration: float | None
    on_uncaught: str
    launcher: str | Launcher


def make_life(given: Options) -> NativeLife | RawLife:
    """
    Check what a `Worker` was given, and make the life of its process.

    Raises:
        Exception: As the class tells.
    """
    name, env, launcher = given.name, given.env, given.launcher
    if not isinstance(name, str):
        raise TypeError(f"name must be a text, not {shown(name)}")
    check_env(env)
    if given.on_uncaught not in ON_UNCAUGHT:
        raise ValueError(f"on_uncaught must be 'report' or 'exit', not {shown(given.on_uncaught)}")
    times = (
        _seconds("handshake_timeout", given.handshake_timeout),
        _seconds("max_duration", given.max_duration),
    )
    own = settings(
        cwd=None if given.cwd is None else os.path.abspath(os.fspath(given.cwd)),
        limits=given.limits,
        nice=given.nice,
        user=given.user,
        group=given.group,
        umask=given.umask,
        cpu_affinity=given.cpu_affinity,
        start_new_session=given.start_new_session,
    )
    flags = _texts("interpreter_args", given.interpreter_args)
    program = None if given.executable is None else os.fsdecode(given.executable)
    wanted = _raw_command(given)
    if wanted is not None:
        _check_raw(given.command, launcher, program, flags)
        if given.on_uncaught != "report":
            raise ValueError(
                f"on_uncaught={given.on_uncaught!r} is for a script that speaks pickle; any other "
                "program ends by itself"
            )
        if given.worker_data is not None:
            raise ValueError("worker_data needs pickle; to a command, send a message or arguments")
        title = os.fspath(wanted[0])
        if isinstance(wanted, tuple):
            wanted = [program or interpreter(), *interpreter_flags(), *flags, *wanted]
        streams = Streams(given.stdin, given.stdout, given.stderr)
        life = RawLife if given.codec is None else _LIVES.get(given.codec, RawLife)
        return life(name or title, wanted, own, env, streams, *times)
    what = make_script(given.script, given.source, given.module, given.argv)
    how = find_launcher(launcher)
    streams = Streams(given.stdin, given.stdout, given.stderr)
    if how.name != "spawn" and (flags or program or not streams.is_default):
        streams.close()
        raise ValueError(
            f"launcher={how.name!r} forks a process that is there, with its interpreter and its "
            "streams; use 'spawn' with executable, interpreter_args, stdin, stdout and stderr"
        )
    try:
        plan = Plan(what, how, name, given.worker_data, env, own, program, flags, given.on_uncaught)
        return NativeLife(plan, streams, *times)
    except BaseException:
        streams.close()
        raise


def _raw_command(given: Options) -> list[str] | tuple[str, ...] | None:
    """Return the whole command, a tuple of what follows an interpreter, or ``None``."""
    codec = given.codec
    if codec is not None and codec not in CODECS:
        raise ValueError(f"codec must be one of {', '.join(CODECS)}, not {codec!r}")
    if codec == "msgpack":
        check_installed()
    if given.command is not None:
        if not (given.script is None and given.source is None and given.module is None):
            raise TypeError("a worker runs one thing: give command= alone")
        if codec == "pickle":
            raise ValueError(
                "a command speaks the raw profile, in bytes or in values that any language has: "
                "codec='raw', codec='json' or codec='msgpack'"
            )
        words = _texts("command", given.command)
        if not words:
            raise ValueError("command is empty; its first word is the program")
        return [*words, *_texts("argv", given.argv)]
    if codec is None or codec == "pickle":
        return None
    what: Script = make_script(given.script, given.source, given.module, given.argv)
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
