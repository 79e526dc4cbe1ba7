"""
Many values in one, which do not all perish when one of them cannot be packed.

Not for packing (`codec`), nor for what stands in the place of a part that is lost: whoever makes
such a value knows that. A worker imports this with its first chunk of a map.
"""

from __future__ import annotations

__all__ = ["Salvageable"]


class Salvageable:
    """A value whose parts can be packed though it cannot be packed as a whole."""

    __slots__ = ()

    def salvaged(self) -> object:
        """
        Return what can be packed of it. Runs a user's code; called at most once.

        Source: concurrent.futures, `Executor.map`: each result is a result of its own.
        """
        raise NotImplementedError
