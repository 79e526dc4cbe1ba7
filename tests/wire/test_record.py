"""
Tests of `webworker_executor.wire.record`: a record crosses whatever is in it.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire.record import pack_record, unpack_record


def make(message: object = "resizing %s", *args: object, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord("images", logging.INFO, "a.py", 7, message, args, None)
    vars(record).update(extra)
    return record


def through(record: logging.LogRecord, process_name: str) -> dict[str, Any]:
    packed = pack_record(record, process_name)
    return unpack_record(packed.payload, packed.buffers)


@given(st.text(), st.lists(st.integers()), st.dictionaries(st.text("abc", min_size=1), st.text()))
def test_what_is_said_arrives(message: str, arguments: list[int], extra: dict[str, str]) -> None:
    """
    The message is made where it was logged; whatever else is text or a number is the same.
    """
    record = make("%s %s", message, arguments, **extra)
    values = through(record, "WebWorker-1")
    assert (f"{message} {arguments}", None) == (values["msg"], values["args"])
    assert ("images", 20, "a.py", 7) == (
        values["name"],
        values["levelno"],
        values["pathname"],
        values["lineno"],
    )
    assert "WebWorker-1" == values["processName"]
    assert extra == {name: values[name] for name in extra}
    assert "%s %s" == record.msg


class Stubborn:
    """
    Neither packs nor shows itself.
    """

    def __reduce__(self) -> NoReturn:
        raise ValueError("not to be packed")

    def __repr__(self) -> str:
        raise ValueError("not to be shown")


def test_what_does_not_pack_is_shown() -> None:
    """
    As an argument it is in the message; beside it stands what does pack.
    """
    record = make("held %s", threading.Lock(), lock=threading.Lock(), none=Stubborn(), size=3)
    values = through(record, "")
    assert values["msg"].startswith("held <unlocked _thread.lock")
    assert values["lock"].startswith("<unlocked _thread.lock")
    assert ("<Stubborn without a repr>", 3) == (values["none"], values["size"])


def test_large_data_go_within_the_record() -> None:
    """
    It is one piece.
    """
    data = bytearray(1 << 20)
    is_same = data == through(make("large", data=data), "")["data"]
    assert is_same


def test_an_exception_becomes_its_text() -> None:
    """
    As a handler of its own process would have shown it.
    """
    record = make("bad")
    try:
        raise ValueError("no picture")
    except ValueError:
        record.exc_info = sys.exc_info()
    values = through(record, "")
    assert values["exc_info"] is None
    assert values["exc_text"].endswith("ValueError: no picture")
    assert values["exc_text"] == logging.Formatter().formatException(record.exc_info)


def test_a_message_that_cannot_be_made_is_the_programs_mistake() -> None:
    """
    It is told in the worker, as always.
    """
    with pytest.raises(TypeError):
        pack_record(make("%s %s", 1), "")


def test_a_process_with_a_name_keeps_it() -> None:
    """
    Only what ``logging`` calls every process is replaced.
    """
    record = make("named", processName="Painter")
    assert "Painter" == through(record, "WebWorker-1")["processName"]
