"""
What the kernel is to hold a worker to, and as whom it runs: asked for here, done in the process.

Not for doing it: ``child.surroundings`` does, before any code of the user. Names of users are
looked up here, because that may read files and ask servers, and its errors belong to the caller.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from webworker_executor.wire.shown import shown

_RESOURCES = {
    "memory": resource.RLIMIT_AS,
    "cpu_seconds": resource.RLIMIT_CPU,
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "file_nbytes": resource.RLIMIT_FSIZE,
    "core_nbytes": resource.RLIMIT_CORE,
    "stack": resource.RLIMIT_STACK,
}


@dataclass(frozen=True)
class Limits:
    """
    What a worker's process may use; ``None`` is whatever the program itself may.

    Attributes:
        memory: Bytes of address space. What does not fit is a ``MemoryError`` in the worker.
        cpu_seconds: Seconds of processor time; then the kernel ends it by SIGXCPU, and a second
            later by SIGKILL.
        open_files: Descriptors that are open at once; a worker needs some 16 for itself.
        processes: Processes and threads of its user, counted over the whole machine.
        file_nbytes: Size of any file it writes, in bytes.
        core_nbytes: Size of its core dump, in bytes.
        stack: Bytes of its main thread's stack, and of those that it starts from then on.

    Raises:
        TypeError: A limit is no whole number.
        ValueError: A limit is negative.

    Source: setrlimit(2).
    """

    memory: int | None = None
    cpu_seconds: int | None = None
    open_files: int | None = None
    processes: int | None = None
    file_nbytes: int | None = None
    core_nbytes: int | None = None
    stack: int | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{item.name} must be a whole number or None, not {value!r}")
            if value < 0:
                raise ValueError(f"{item.name} cannot be {value}; give 0 or more, or None")

    def rlimits(self) -> dict[int, tuple[int, int]]:
        """Return what setrlimit(2) takes: by resource, the soft and the hard limit."""
        asked = {name: getattr(self, name) for name in _RESOURCES}
        limits = {_RESOURCES[name]: (n, n) for name, n in asked.items() if n is not None}
        if self.cpu_seconds is not None:
            # SIGXCPU at the soft limit says what happened; SIGKILL would not.
            limits[resource.RLIMIT_CPU] = (self.cpu_seconds, self.cpu_seconds + 1)
        return limits


def check_env(env: object) -> None:
    """
    Refuse environment variables that no process can be started with.

    Args:
        env: A mapping of texts to texts, or ``None``.

    Raises:
        TypeError: It is no mapping, or something in it is no text.
        ValueError: A name is empty or has ``=`` in it, or a text has a null character.
    """
    if env is None:
        return
    if not isinstance(env, Mapping):
        raise TypeError(f"env must be a mapping of strings, not {type(env).__name__}")
    for key, value in env.items():
        if not isinstance(key, str):
            raise TypeError(f"env must have texts as its keys, not {shown(key)}")
        if not isinstance(value, str):
            raise TypeError(f"env[{shown(key)}] must be a text, not {shown(value)}; use str()")
        if not key or "=" in key or "\0" in key:
            raise ValueError(f"env cannot have a variable called {shown(key)}")
        if "\0" in value:
            raise ValueError(f"env[{shown(key)}] has a null character, at which it would end")


def settings(
    *,
    cwd: str | None,
    limits: Limits | None,
    nice: int,
    user: str | int | None,
    group: str | int | None,
    umask: int | None = None,
    cpu_affinity: Iterable[int] | None = None,
    start_new_session: bool = False,
) -> Mapping[str, Any]:
    """
    Check and look up what a process is to set for itself.

    Returns:
        What ``child.surroundings.apply`` takes.

    Raises:
        TypeError: One of them is of the wrong type.
        ValueError: There is no such user or group, no processor to run on, or no such umask.
    """
    if limits is not None and not isinstance(limits, Limits):
        raise TypeError(f"limits must be a Limits(...), not {shown(limits)}")
    if nice.__class__ is not int:
        raise TypeError(f"nice must be a whole number, not {nice!r}")
    _check_umask(umask)
    uid, gid, groups = _identity(user, group)
    return {
        "cwd": cwd,
        "rlimits": {} if limits is None else limits.rlimits(),
        "nice": nice,
        "uid": uid,
        "gid": gid,
        "groups": groups,
        "umask": umask,
        "cpus": None if cpu_affinity is None else _processors(cpu_affinity),
        "session": bool(start_new_session),
    }


def _check_umask(umask: int | None) -> None:
    if umask is None:
        return
    if umask.__class__ is not int:
        raise TypeError(f"umask must be a whole number, such as 0o022, or None, not {shown(umask)}")
    if not 0 <= umask <= 0o777:
        raise ValueError(f"umask must be from 0 to 0o777, not {umask:#o}")


def _processors(numbers: Iterable[int]) -> tuple[int, ...]:
    if isinstance(numbers, (str, bytes)) or not isinstance(numbers, Iterable):
        raise TypeError(f"cpu_affinity must be numbers of processors, not {shown(numbers)}")
    chosen = tuple(numbers)
    for number in chosen:
        if number.__class__ is not int:
            raise TypeError(f"cpu_affinity must be whole numbers, and {shown(number)} is none")
    here = os.sched_getaffinity(0)
    if not here.intersection(chosen):
        raise ValueError(
            f"cpu_affinity={shown(chosen)} leaves no processor to run on; this program may use "
            f"{sorted(here)}"
        )
    return chosen


def _identity(
    user: str | int | None, group: str | int | None
) -> tuple[int | None, int | None, list[int] | None]:
    uid, gid, groups = None, None, None
    if user is not None:
        import pwd

        entry = _lookup("user", user, pwd.getpwnam, pwd.getpwuid)
        uid = user if entry is None else entry.pw_uid
        if entry is None and group is None:
            raise ValueError(
                f"user {user} has no entry on this machine, so that the process would keep the "
                f"group of this one: name a group, too, such as group={user}"
            )
        gid = None if entry is None else entry.pw_gid
        groups = [] if entry is None else os.getgrouplist(entry.pw_name, entry.pw_gid)
    if group is not None:
        import grp

        entry = _lookup("group", group, grp.getgrnam, grp.getgrgid)
        gid = group if entry is None else entry.gr_gid
        # Whoever names a group wants that one, not those that the user has elsewhere.
        groups = [] if gid is None else [gid]  # type: ignore[list-item]  # an int where there is no entry
    return uid, gid, groups  # type: ignore[return-value]  # as above


def _lookup(kind: str, wanted: str | int, by_name: Any, by_number: Any) -> Any:
    if wanted.__class__ not in {str, int}:
        raise TypeError(f"{kind} must be a name or a number, not {wanted!r}")
    try:
        return by_name(wanted) if isinstance(wanted, str) else by_number(wanted)
    except KeyError:
        if isinstance(wanted, int) and wanted >= 0:
            # A number needs no entry: containers often have none.
            return None
        raise ValueError(f"there is no {kind} {wanted!r} on this machine") from None
