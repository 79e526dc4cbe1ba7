"""Initializers that use what `multiprocessing` shares; a module that a worker imports quickly."""

from __future__ import annotations

import logging
import logging.handlers
from typing import Any

from tests.dropin.tasks import remember


def use_queue(queue: Any) -> None:
    """Put a word into the queue."""
    queue.put("told")


def use_lock(lock: Any) -> None:
    """Take the lock and give it back."""
    with lock:
        remember("locked")


def use_event(event: Any) -> None:
    """Set the event."""
    event.set()


def use_value(value: Any) -> None:
    """Add seven, under the lock."""
    with value.get_lock():
        value.value += 7


def use_array(array: Any) -> None:
    """Write the second element."""
    array[1] = 7


def use_semaphore(semaphore: Any) -> None:
    """Release it once."""
    semaphore.release()


def use_connection(connection: Any) -> None:
    """Send a word."""
    connection.send("told")


def use_condition(condition: Any) -> None:
    """Wake everybody."""
    with condition:
        condition.notify_all()


def log_to(queue: Any) -> None:
    """Send all log records to the queue, as the documented recipe does."""
    root = logging.getLogger()
    root.addHandler(logging.handlers.QueueHandler(queue))
    root.setLevel(logging.INFO)


def log(text: str) -> None:
    """Log a line."""
    logging.getLogger("worker").info(text)
