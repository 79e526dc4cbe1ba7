"""
Waiting for what tells nobody: the one place where tests look again and again.

Not for anything that has an event, a future or a message to wait for.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(is_so: Callable[[], object], seconds: float = 20.0) -> None:
    """
    Look until something is so.

    Args:
        is_so: Asked every hundredth of a second.
        seconds: How long at most; longer than it takes on a machine that has much to do.

    Raises:
        AssertionError: It has not come to that.
    """
    deadline = monotonic() + seconds
    pause = threading.Event()
    while not is_so():
        assert monotonic() < deadline, f"it has not come to that within {seconds:g} seconds"
        pause.wait(0.01)
