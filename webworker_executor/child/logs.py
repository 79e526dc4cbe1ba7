"""
The log records of a worker, sent to the host instead of being handled here.

Imported only where they are wanted: ``logging`` takes 5 ms. The levels are the host's, so that what
nobody wants to read is not even made into a record.
"""

from __future__ import annotations

import logging

from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import LOG
from webworker_executor.wire.record import pack_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from webworker_executor.child.data_end import DataEnd


class ForwardingHandler(logging.Handler):
    """
    Sends records to the host, in order, before anything that this thread sends later.

    Args:
        end: Where to.
        process_name: What the records call this process.
    """

    def __init__(self, end: DataEnd, process_name: str) -> None:
        super().__init__()
        self._end = end
        self._process_name = process_name

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; what goes wrong is told on standard error, as by every handler."""
        try:
            packed = pack_record(record, self._process_name)
            self._end.post(encode(LOG, 0, packed.payload, packed.buffers), ())
        except Exception:
            if self._end.is_copy:
                # A process that a task has forked has no link of its own. What matters is seen.
                if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                    logging.lastResort.handle(record)
                return
            self.handleError(record)


def install(end: DataEnd, levels: Mapping[str, int], disabled: int, process_name: str) -> None:
    """
    Send what is logged in this process to the host.

    What a forked process has inherited of handlers is put away: each record would be handled twice.
    So are its levels, for the host tells its own.

    Args:
        end: Where to.
        levels: By the names of loggers, ``""`` for the root's.
        disabled: What ``logging.disable`` was called with in the host.
        process_name: What the records call this process.
    """
    root = logging.getLogger()
    for logger in [*root.manager.loggerDict.values(), root]:
        if isinstance(logger, logging.Logger):
            logger.handlers = []
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    root.addHandler(ForwardingHandler(end, process_name))
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)
    logging.disable(disabled)
