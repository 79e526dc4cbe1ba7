"""
A gate that tasks wait at until the test opens it: tests of order need no sleeping.

Not a barrier: a gate once open stays open. Whoever changes it must keep `pass_gate` free of
anything a worker could not import.
"""

from __future__ import annotations

import os
import select
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

Value = TypeVar("Value")


def pass_gate(path: str, value: Value) -> Value:
    """Say that the task has begun, wait until the gate is open, and return the value."""
    with open(f"{path}.begun", "w") as stream:
        stream.write(f"{os.getpid()}\n")
    with open(path):
        return value


class Gate:
    """Two named pipes: what waits in `open` is let through, and was announced before."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "gate")
        os.mkfifo(self.path)
        os.mkfifo(f"{self.path}.begun")
        self._begun = os.open(f"{self.path}.begun", os.O_RDWR)
        self._open: int | None = None
        self._text = b""

    def wait_for_begun(self, count: int, timeout: float = 10.0) -> list[int]:
        """
        Wait until so many tasks have begun.

        Args:
            count: How many in all, since the gate was made.
            timeout: Seconds until that counts as a failure.

        Returns:
            The pid of each, in the order they began.

        Raises:
            TimeoutError: If fewer have begun.
        """
        deadline = monotonic() + timeout
        while self._text.count(b"\n") < count:
            ready, _, _ = select.select([self._begun], [], [], max(0.0, deadline - monotonic()))
            if not ready:
                raise TimeoutError(f"{len(self._text.split())} of {count} tasks have begun")
            self._text += os.read(self._begun, 4096)
        return [int(line) for line in self._text.split()]

    def open(self) -> None:
        """Let all through, those that come later too."""
        if self._open is None:
            self._open = os.open(self.path, os.O_RDWR)

    def close(self) -> None:
        """Open the gate for ever, and give the descriptors back."""
        self.open()
        # Who waits in a pipe is through by now; who comes later finds a file, which never waits.
        for path in (self.path, f"{self.path}.begun"):
            with open(f"{path}.file", "w"):
                os.replace(f"{path}.file", path)
        os.close(self._begun)
        if self._open is not None:
            os.close(self._open)
            self._open = None
