"""
What a signal handler raises, at a place that a test names.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Interrupt(Exception):
    """What a handler raises."""


class Strike:
    """
    Raises once where a handler could: when so many functions were entered or left.

    A profiler is called at just these places, and not between plain loads and stores.

    Args:
        within: Only what this function calls is counted.
        number: Of the function.

    Attributes:
        where: The place it came to, empty if to none.
        has_raised: Whether that reached the caller.
    """

    def __init__(self, within: str, number: int) -> None:
        self._within = within
        self._n_left = number
        self.where = ""
        self.has_raised = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event not in {"call", "c_return"}:
            return
        outer: FrameType | None = frame
        while outer is not None and outer.f_code.co_qualname != self._within:
            outer = outer.f_back
        self._n_left -= outer is not None
        if not self._n_left:
            sys.setprofile(None)
            self.where = f"{event} in {frame.f_code.co_filename}:{frame.f_lineno}"
            raise Interrupt

    def during(self, call: Callable[[], object]) -> None:
        # What others have left is not to be collected meanwhile: Python swallows what is raised in
        # a finalizer.
        gc.disable()
        sys.setprofile(self)
        try:
            call()
        except Interrupt:
            self.has_raised = True
        finally:
            sys.setprofile(None)
            gc.enable()
