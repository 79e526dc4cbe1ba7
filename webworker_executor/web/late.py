"""
Whether a ``__dict__`` must be asked for before another thread can.

Python 3.11 makes it when it is first asked for, out of what it has of the object until then. If
that very allocation collects garbage, and a finalizer asks for the same ``__dict__``, or lets go of
the interpreter to a thread that does, two are made of the same memory: it is freed twice, and the
interpreter crashes some time later. From 3.12 on garbage is collected between two instructions
only. So an object whose ``__dict__`` several threads ask for asks for it as it is made, when nobody
else knows of it. A worker imports this at its start.

Source: CPython 3.11, ``PyObject_GenericGetDict`` in Objects/object.c.
"""

from __future__ import annotations

import sys

__all__ = ["MAKES_DICT_LATE"]

MAKES_DICT_LATE = sys.version_info < (3, 12)
