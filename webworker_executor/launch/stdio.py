"""
The standard streams of a new process: where each leads, and the host's end of a pipe.

Not for messages, which never touch them. Whoever makes a `Streams` closes it: descriptors are
duplicated when it is made, so that the caller may close its own at once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

from webworker_executor.link.rights import Descriptor, pipe
from webworker_executor.wire.shown import shown

if TYPE_CHECKING:
    from typing import IO

    Action = tuple[int, int, int] | tuple[int, int, str, int, int]

_WORDS = {subprocess.PIPE: "pipe", subprocess.DEVNULL: "devnull", subprocess.STDOUT: "stdout"}
# Where a foreign worker finds its link: a number that somebody wrote down means that, not a file.
RESERVED = 3
# The host's end of a pipe: functions of C.
_open_to_read = partial(open, mode="rb")
_open_to_write = partial(open, mode="wb", buffering=0)


class Streams:
    """
    What stands at 0, 1 and 2 in a process to be.

    Args:
        stdin: ``"inherit"`` or ``None``, ``"pipe"``, ``"devnull"`` (or the constants of
            ``subprocess``), a descriptor, or an object with a ``fileno``.
        stdout: The same.
        stderr: The same, or ``"stdout"``: wherever that leads.

    Attributes:
        stdin: The host's end of a pipe, or ``None``. What is written to it leaves at once.
        stdout: As above.
        stderr: As above.

    Raises:
        TypeError: One is none of these.
        ValueError: One is a word nobody knows, or the bare number 3, where a worker's link stands.
            A file is welcome whatever number it has.
        OSError: A descriptor is not open, or none is left; nothing stays open.

    Source: subprocess, the arguments of ``Popen``; worker-process, where entry 3 is reserved.
    """

    def __init__(
        self, stdin: Any = "devnull", stdout: Any = "inherit", stderr: Any = "inherit"
    ) -> None:
        self.actions: list[Action] = []
        self._far: list[Descriptor] = []
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self.stderr: IO[bytes] | None = None
        wanted = {"stdin": _wish(stdin), "stdout": _wish(stdout), "stderr": _wish(stderr)}
        for name, wish in wanted.items():
            _check(name, wish)
        if RESERVED in (stdin, stdout, stderr):
            raise ValueError(
                "Descriptor 3 is where a worker finds its link, so the bare number is taken for a "
                "mistake. Pass the file itself, or a duplicate made by os.dup()."
            )
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for number, (name, wish) in enumerate(wanted.items()):
                self._set_up(number, name, wish)
            undo.pop_all()

    @property
    def is_default(self) -> bool:
        """Whether every launcher does this: nothing to read, and the program's own output."""
        return self.actions == [_devnull(0)]

    def _set_up(self, number: int, name: str, wish: str | int) -> None:
        if wish == "devnull":
            self.actions.append(_devnull(number))
        elif wish == "pipe":
            # Above 3 to 5, where the links are laid before this is copied.
            reader, writer = pipe()
            near, far = (writer, reader) if number == 0 else (reader, writer)
            self._far.append(far)
            setattr(self, name, near.hand_to(_open_to_write if number == 0 else _open_to_read))
            self.actions.append((os.POSIX_SPAWN_DUP2, far.fileno(), number))
        elif wish == "stdout":
            self.actions.append((os.POSIX_SPAWN_DUP2, 1, number))
        elif isinstance(wish, int):
            far = Descriptor.copy_of(wish)
            self._far.append(far)
            self.actions.append((os.POSIX_SPAWN_DUP2, far.fileno(), number))

    def started(self) -> None:
        """Close what is the process's; nothing happens the second time."""
        far, self._far = self._far, []
        for end in far:
            end.close()

    def close(self) -> None:
        """Close everything, for a process that will never be."""
        self.started()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()


def _devnull(number: int) -> Action:
    return (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY, 0)


def _wish(value: Any) -> Any:
    if value is None:
        return "inherit"
    if isinstance(value, int) and not isinstance(value, bool):
        return _WORDS.get(value, value)
    fileno = getattr(value, "fileno", None)
    return value if fileno is None else fileno()


def _check(name: str, wish: object) -> None:
    words = ["inherit", "pipe", "devnull", *(["stdout"] if name == "stderr" else [])]
    if isinstance(wish, str):
        if wish not in words:
            raise ValueError(f"{name} cannot be {wish!r}; it is one of {', '.join(words)}")
    elif not isinstance(wish, int) or isinstance(wish, bool):
        raise TypeError(
            f"{name} must be one of {', '.join(words)}, a descriptor or a file, not {shown(wish)}"
        )
    elif wish < 0:
        raise ValueError(f"{name} cannot be the descriptor {wish}")
