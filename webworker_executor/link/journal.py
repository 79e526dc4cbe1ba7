"""
What the package logs of itself, told where the handlers of the program's logging can do no harm.

A handler is code of a user: it may wait for a lock, for a reader of its pipe, or for a pool. On the
reactor's thread, or with a lock of ours in hand, all pools of the program would wait with it. So
whoever has a thread for such code lends it with ``tell_on``; without, the caller's own has to do.
"""

from __future__ import annotations

import logging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Lent = Callable[[Callable[[], object]], object]

_lent: list[_Lent] = []


def tell_on(lent: _Lent | None) -> None:
    """Have handlers run where a function takes calls to, or in whatever thread logs (``None``)."""
    _lent[:] = [] if lent is None else [lent]


def tell(call: Callable[[], object]) -> None:
    """Make a call that runs handlers."""
    if _lent:
        _lent[0](call)
    else:
        call()


class Journal:
    """
    The logger of a module that runs on the reactor, or under a lock.

    Args:
        name: The logger's.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, text: str, *args: object) -> None:
        """Log what helps to find a fault."""
        self.log(logging.DEBUG, text, *args)

    def info(self, text: str, *args: object) -> None:
        """Log what is as it should be, and worth knowing."""
        self.log(logging.INFO, text, *args)

    def warning(self, text: str, *args: object) -> None:
        """Log what goes on with a loss."""
        self.log(logging.WARNING, text, *args)

    def exception(self, text: str, error: BaseException) -> None:
        """Log what nobody catches, with its traceback."""
        self.log(logging.ERROR, text, error=error)

    def log(self, level: int, text: str, *args: object, error: BaseException | None = None) -> None:
        """Log at a level."""
        if self._logger.isEnabledFor(level):
            tell(lambda: self._logger.log(level, text, *args, exc_info=error))
