"""
What a call has returned, when it is known that it may be a coroutine.

Not for how that is run: ``coroutine`` has it, and is imported with the first one. A worker imports
this at its start, so it imports nothing; ``types``, which has the name of the class, would be 1 ms.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


async def _nothing() -> None:
    """Return at once."""


_coroutine = _nothing()
CoroutineType = type(_coroutine)
_coroutine.close()


def ended(result: Any) -> Any:
    """
    Return a result as it is, or what a coroutine returns, run to its end here.

    Raises:
        BaseException: What the coroutine raises.
    """
    if result.__class__ is not CoroutineType:
        return result
    from webworker_executor.web.coroutine import completed

    return completed(result)
