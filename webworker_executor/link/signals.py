"""
Errors of sockets, told from those that a signal handler raises while a socket is used.
"""

from __future__ import annotations

import os

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def is_of_a_handler(error: BaseException) -> bool:
    """
    Whether an error that came out of a read or a write is a signal handler's own.

    An alarm's ``TimeoutError`` is an ``OSError`` as well. What the socket says comes right out of
    the line of ours that asked it, what a handler says out of the handler.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_PACKAGE)
