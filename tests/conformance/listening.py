"""
An ear at a worker: its events in the order in which they were dispatched.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor import Worker

EVENTS = ("message", "messageerror", "error", "close", "exit")
SECONDS = 20.0


class Stay:
    """
    Keeps the events thread from ending, and another from taking its place, for as long as needed.
    """

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """
        Nothing is under way when the interpreter ends.
        """

    def disown_after_fork(self) -> None:
        """
        Nothing is kept.
        """


def between_events(call: Callable[[], object]) -> None:
    """
    Make a call on the thread where events are told, and wait for it.
    """
    is_done = threading.Event()

    def do() -> None:
        call()
        is_done.set()

    stay = Stay()
    _, events = host.acquire(stay)
    try:
        events.call(do)
        assert is_done.wait(10.0)
    finally:
        host.release(stay)


class Ear:
    """
    Keeps what a worker's listeners were called with.

    Args:
        worker: Where to listen; or what makes the worker, to hear of one that ends at once, too.
        types: The types of events.
        prevents: Whether to prevent the default of each.
    """

    def __init__(
        self,
        worker: Worker | Callable[[], Worker],
        types: tuple[str, ...] = EVENTS,
        *,
        prevents: bool = False,
    ) -> None:
        self._heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._prevents = prevents

        def listen() -> None:
            self.worker = worker() if callable(worker) else worker
            for name in types:
                self.worker.add_event_listener(name, self._hear)

        # On the thread where events are told: none can come between the first and the last.
        between_events(listen)

    def _hear(self, event: Any) -> None:
        if self._prevents:
            event.prevent_default()
        self._heard.put(event)

    def next(self) -> Any:
        """
        Wait for the next event.
        """
        return self._heard.get(timeout=SECONDS)

    def data(self, count: int) -> list[Any]:
        """
        Wait for so many messages, and return what they hold.
        """
        return [self.next().data for _ in range(count)]

    def to_the_end(self) -> list[Any]:
        """
        Wait for the exit event, and return all events up to it.
        """
        events = [self.next()]
        while events[-1].type != "exit":
            events.append(self.next())
        return events

    def now(self) -> list[Any]:
        """
        Return what has been heard and not been asked for, what is just being told included.
        """
        between_events(lambda: None)
        events = []
        while not self._heard.empty():
            events.append(self._heard.get())
        return events
