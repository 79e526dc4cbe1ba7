"""
The log records of workers, handled by the loggers of the program.

Records come in on the reactor's thread. They are unpacked, filtered and handled on the events
thread, because all of that runs code of the user; one after the other, also where a handler is slow
and other calls go on beside it.
"""

from __future__ import annotations

import logging
import threading

from webworker_executor.web.in_turn import InTurn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.wire.frame import Frame

# What may wait to be handled. Beyond that, records are counted instead of kept: workers that log in
# a loop make them faster than any handler takes them, and nothing makes them wait that does not
# also hold up results.
MOST_NBYTES = 1 << 26

_log = logging.getLogger("webworker_executor.pool")


class Logs:
    """
    What a pool wants to hear of its workers' logging.

    Args:
        wish: ``True`` for what the loggers of the program would take, or a level, by number or
            name, from which on all is wanted.

    Raises:
        ValueError: There is no such level.
        TypeError: It is no level.
    """

    def __init__(self, wish: bool | int | str) -> None:
        self._level: int | None = None
        self._lock = threading.Lock()  # guards the two below; held by the package's own threads
        self._waiting_nbytes = 0
        self._n_dropped = 0
        self._turns = InTurn()
        if wish is True:
            return
        names = logging.getLevelNamesMapping()
        if isinstance(wish, str):
            if wish not in names:
                raise ValueError(
                    f"forward_logging must be True or a level such as 'INFO', not {wish!r}; there "
                    f"are {', '.join(names)}"
                )
            self._level = names[wish]
        elif isinstance(wish, int):
            self._level = wish
        else:
            raise TypeError(
                f"forward_logging must be True or a level, not {type(wish).__name__}: it says "
                "which log records of workers the program handles"
            )

    def told(self) -> tuple[dict[str, int], int]:
        """Return what a worker is to hear: the levels by logger, and what is disabled."""
        root = logging.getLogger()
        if self._level is not None:
            return {"": self._level}, logging.NOTSET
        levels = {"": root.level}
        for name, logger in root.manager.loggerDict.copy().items():
            if isinstance(logger, logging.Logger) and logger.level:
                levels[name] = logger.level
        return levels, root.manager.disable

    def arrived(self, frame: Frame, call_back: Callable[[Callable[[], object]], object]) -> None:
        """
        Take a record of a worker, if not too many wait; what is dropped is told by a warning.

        Args:
            frame: The record.
            call_back: Makes a call on the events thread.
        """
        # A copy, so that a record that waits does not keep all that came in the same read.
        payload, buffers = bytes(frame.payload), frame.buffers
        nbytes = len(payload) + sum(buffer.nbytes for buffer in buffers)
        with self._lock:
            if self._waiting_nbytes > MOST_NBYTES:
                self._n_dropped += 1
                return
            self._waiting_nbytes += nbytes
        self._turns.call(lambda: self._handle(payload, buffers, nbytes), call_back)

    def _handle(self, payload: bytes, buffers: Sequence[Any], nbytes: int) -> None:
        with self._lock:
            self._waiting_nbytes -= nbytes
            n_dropped = 0
            if not self._waiting_nbytes:
                n_dropped, self._n_dropped = self._n_dropped, 0
        try:
            self._pass_on(payload, buffers)
        finally:
            if n_dropped:
                _log.warning(
                    "%d log records of workers were dropped, because they came faster than the "
                    "program's handlers took them",
                    n_dropped,
                )

    def _pass_on(self, payload: bytes, buffers: Sequence[Any]) -> None:
        from webworker_executor.wire.record import unpack_record

        record = logging.makeLogRecord(unpack_record(payload, buffers))
        logger = logging.getLogger(record.name)
        # A worker has the levels of the moment of its start.
        if self._level is not None or logger.isEnabledFor(record.levelno):
            logger.handle(record)


def logs_for(wish: bool | int | str) -> Logs | None:
    """Return what is to be heard, ``None`` for nothing; raises as ``Logs``."""
    return None if wish is False else Logs(wish)
