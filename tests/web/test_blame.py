"""
What an error of packing says, also where nothing can be found out.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING

import pytest

from webworker_executor.errors import DataCloneError
from webworker_executor.web import blame

if TYPE_CHECKING:
    from collections.abc import Iterator

CULPRIT = "webworker_executor.web.culprit"


@pytest.fixture
def no_descriptor_is_left() -> Iterator[None]:
    """
    Have nothing imported that has not been.
    """
    import webworker_executor.web as package

    known, attribute = sys.modules.pop(CULPRIT, None), vars(package).pop("culprit", None)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        if known is not None:
            sys.modules[CULPRIT], package.culprit = known, attribute


def test_the_part_is_named() -> None:
    """
    In a note of the error, or in an error of a message's own.
    """
    error = TypeError("cannot pickle")
    blame.point_out(error, {"worker_data": [sys._getframe()]})
    assert error.__notes__[0].startswith("worker_data[0] cannot be sent")
    told = blame.clone_error([sys._getframe()], TypeError("cannot pickle"))
    assert isinstance(told, DataCloneError)
    assert str(told).startswith("message[0] cannot be sent")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_what_is_no_exception_is_of_no_part(error: BaseException) -> None:
    """
    Ctrl-C while something is packed does not say that it cannot be sent.
    """
    blame.point_out(error, {"worker_data": error})
    assert not hasattr(error, "__notes__")


@pytest.mark.usefixtures("no_descriptor_is_left")
def test_where_nothing_can_be_found_out_the_error_stays_as_it_is() -> None:
    """
    No other takes its place.
    """
    error = TypeError("cannot pickle")
    blame.point_out(error, {"worker_data": error})
    assert not hasattr(error, "__notes__")
    assert error is blame.clone_error(error, error)
