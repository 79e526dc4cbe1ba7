"""
What one way of speaking with a worker's process must provide; the rest is the same for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webworker_executor.link.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.incoming import WorkerTarget


class Profile:
    """
    The steps of a life that depend on how frames look; on the reactor's thread, but for the first.
    """

    @property
    def is_over(self) -> bool:
        """Whether the process has ended, or never came; any thread."""
        raise NotImplementedError

    def lead(self, target: WorkerTarget, timeout: float | None) -> bool:
        """Wait by reading in the caller's thread; any thread. Tell whether that could be done."""
        return False

    def wait_until_written(self, timeout: float | None) -> bool:
        """Wait until the kernel has all that was posted, or never will; any thread but this."""
        written = Flag()
        self._when_written(written.set)
        return self.is_over or written.wait(timeout)

    def _when_written(self, call: Callable[[], object]) -> None:
        """Make a call when the kernel has all that was posted, or never will; any thread."""
        raise NotImplementedError

    def _connect(self) -> None:
        """Make the channel, on any thread; what is made by then is closed if this is broken off."""
        raise NotImplementedError

    def _launch(self) -> None:
        """Start the process; ``_started`` or ``_refused`` follows."""
        raise NotImplementedError

    def _ask_to_close(self) -> None:
        """Ask the process to leave at the next chance."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Ask the process to leave when it has nothing left to do."""
        raise NotImplementedError

    def _drain(self) -> None:
        """Take what the dead process had written."""
        raise NotImplementedError

    def _close_links(self) -> None:
        """Give back the channel."""
        raise NotImplementedError

    def _close_launcher(self, on_closed: Callable[[], object]) -> None:
        """Let go of what started the process; on the reactor, which stays until it is done."""
        on_closed()

    def _disown_links(self) -> None:
        """In a forked copy of the host, give back this copy's channel."""
        raise NotImplementedError
