"""
Whether Ctrl-C is what ended a block of a program.

Not for what is done then, nor for the error that ends the program as a whole: see ``web.host``.
"""

from __future__ import annotations

import signal
import sys


def is_interrupt(exc_type: type[BaseException] | None) -> bool:
    """
    Tell whether Ctrl-C is behind the exception that leaves a ``with`` block.

    Inside ``asyncio.run`` it comes as a ``CancelledError`` of the main task, and becomes a
    ``KeyboardInterrupt`` only when that task has ended: which would wait for what workers do.

    Args:
        exc_type: The class of the exception, ``None`` for none.

    Source: asyncio, ``Runner``, "Handling Keyboard Interruption".
    """
    if exc_type is None:
        return False
    if issubclass(exc_type, KeyboardInterrupt):
        return True
    asyncio = sys.modules.get("asyncio.exceptions")
    if asyncio is None or not issubclass(exc_type, asyncio.CancelledError):
        return False
    # The runner tells nobody, but it is its own method that stands as the handler meanwhile.
    handler = getattr(signal.getsignal(signal.SIGINT), "func", None)
    return bool(getattr(getattr(handler, "__self__", None), "_interrupt_count", 0))
