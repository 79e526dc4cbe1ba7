"""
Threads of the package: daemons that are started once, whatever signal handlers do meanwhile.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Longer than a thread takes to come up, also on a crowded machine.
_UP_SECONDS = 2.0


class ServiceThread:
    """
    A daemon thread, apart from its start.

    ``threading.Thread.start`` is many steps. A signal handler that runs between them may come here
    again, and would start the thread twice; or it may raise, and then nobody knows whether the
    thread was started. This class does.

    Args:
        serve: What the thread does.
        name: Its name.

    Attributes:
        thread: As ``threading`` knows it.
    """

    def __init__(self, serve: Callable[[], object], name: str) -> None:
        self._serve = serve
        self._name = name
        self._is_begun = False
        self._is_up = threading.Event()
        self.thread = self._make()

    def _make(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=self._name, daemon=True)

    def _run(self) -> None:
        self._is_up.set()
        self._serve()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on this thread."""
        return threading.current_thread() is self.thread

    def start(self) -> None:
        """
        Start the thread, unless that was done or is being done.

        Raises:
            RuntimeError: No thread can be started. It may be tried again.
        """
        if self._is_begun:
            return
        self._is_begun = True
        try:
            self.thread.start()
        except BaseException as error:
            # A handler's error may come before or after the thread was made; ours comes instead.
            if isinstance(error, RuntimeError) or not self._is_up.wait(_UP_SECONDS):
                self.thread = self._make()
                self._is_begun = False
            raise

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread, if it was started; at once on the thread itself."""
        if self._is_begun and not self.is_current:
            self._is_up.wait(_UP_SECONDS)
            self.thread.join(timeout)
