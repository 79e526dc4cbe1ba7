"""
Tests of `webworker_executor.wire.forks`: packing knows for whom it is.
"""

from __future__ import annotations

import threading

import pytest

from webworker_executor.wire import variable
from webworker_executor.wire.forks import is_packing_for_forks, packing_for_forks


def test_it_holds_for_the_call_and_what_it_calls() -> None:
    """
    Not for other threads, and not afterwards, whatever it raises.
    """

    def pack(n_deeper: int) -> list[bool]:
        elsewhere: list[bool] = []
        thread = threading.Thread(target=lambda: elsewhere.append(is_packing_for_forks()))
        thread.start()
        thread.join()
        deeper = packing_for_forks(pack, n_deeper - 1) if n_deeper else []
        return [*deeper, is_packing_for_forks(), *elsewhere]

    assert [True, False, True, False] == packing_for_forks(pack, 1)
    with pytest.raises(ZeroDivisionError):
        packing_for_forks(divmod, 1, 0)
    assert not is_packing_for_forks()


def test_calls_do_not_take_it_along() -> None:
    """
    It is no context variable of a user.
    """
    assert packing_for_forks(variable.capture) is None
