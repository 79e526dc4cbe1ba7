"""
What workers log is handled by the loggers of the program, if it wants to.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.pool.work import double, refuse
from webworker_executor import WebWorkerExecutor
from webworker_executor.pool import logs as pool_logs
from webworker_executor.pool.logs import Logs, logs_for
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import LOG
from webworker_executor.wire.record import pack_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName


class Keeper(logging.Handler):
    """
    Keeps records, and which thread brought them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.threads: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.threads.add(threading.current_thread().name)

    @property
    def messages(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """
    Handle what the logger ``images`` and those below it get, from INFO on.
    """
    keeper = Keeper()
    logger = logging.getLogger("images")
    logger.addHandler(keeper)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield keeper
    logger.removeHandler(keeper)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def say(level: int, message: str, *args: object) -> None:
    """Log something."""
    logging.getLogger("images.resize").log(level, message, *args)


def say_often(count: int) -> int:
    """Log so many lines, and return which process did."""
    for number in range(count):
        logging.getLogger("images").info("%d", number)
    return os.getpid()


def is_enabled(name: str, level: int) -> bool:
    """Tell whether a logger of this process makes records of a level."""
    return logging.getLogger(name).isEnabledFor(level)


def fail_aloud() -> None:
    """Log an exception, with something that does not pickle beside it."""
    try:
        raise ValueError("no picture")
    except ValueError:
        logging.getLogger("images").exception("bad", extra={"lock": threading.Lock()})


def say_in_a_fork() -> int:
    """Log in a copy of this process, and in this one."""
    if os.fork() == 0:
        try:
            say(logging.INFO, "copy")
        finally:
            os._exit(0)
    os.wait()
    say(logging.INFO, "original")
    return 1


def test_records_come_in_order_and_with_their_origin(
    launcher: LauncherName, keeper: Keeper
) -> None:
    """
    All of them have been handled when the executor has ended.
    """
    with WebWorkerExecutor(1, launcher=launcher, forward_logging=True) as pool:
        pid = pool.submit(say_often, 200).result(10.0)
        pool.submit(say, logging.WARNING, "%s of %s", "one", ["two"]).result(10.0)
    assert [*map(str, range(200)), "one of ['two']"] == keeper.messages
    record = keeper.records[-1]
    assert ("images.resize", "WARNING", pid) == (record.name, record.levelname, record.process)
    assert ("WebWorker-0", "say", "test_logs.py") == (
        record.processName,
        record.funcName,
        record.filename,
    )
    assert {"webworker-events"} == keeper.threads


def test_what_is_slow_has_one_record_after_the_other(
    launcher: LauncherName, keeper: Keeper
) -> None:
    """
    Callbacks go on beside it, and no record passes another.
    """
    go_on, under_way, home = threading.Event(), threading.Lock(), os.getpid()

    def look(record: logging.LogRecord) -> bool:
        if os.getpid() != home:
            # A worker that was forked has it, too.
            return True
        assert under_way.acquire(blocking=False)
        assert go_on.wait(20.0)
        under_way.release()
        return True

    # Not a handler: those have a lock of their own.
    logger = logging.getLogger("images")
    logger.addFilter(look)
    try:
        with WebWorkerExecutor(1, launcher=launcher, forward_logging=True) as pool:
            pool.submit(say_often, 20).add_done_callback(lambda _: go_on.set())
    finally:
        logger.removeFilter(look)
    assert [*map(str, range(20))] == keeper.messages


def test_what_nobody_wants_is_not_even_made(keeper: Keeper) -> None:
    """
    A worker has the levels of the program.
    """
    with WebWorkerExecutor(1, launcher="fork", forward_logging=True) as pool:
        pool.submit(say, logging.DEBUG, "detail").result(10.0)
        assert not pool.submit(is_enabled, "images.resize", logging.DEBUG).result(10.0)
        assert pool.submit(is_enabled, "images.resize", logging.INFO).result(10.0)
        assert not pool.submit(is_enabled, "sounds", logging.INFO).result(10.0)
    assert [] == keeper.messages


def test_a_level_of_its_own(keeper: Keeper) -> None:
    """
    From there on everything comes, whatever the loggers of the program say.
    """
    with WebWorkerExecutor(1, launcher="fork", forward_logging="DEBUG") as pool:
        pool.submit(say, logging.DEBUG, "detail").result(10.0)
    assert ["detail"] == keeper.messages


def test_a_level_that_has_changed_meanwhile_counts(keeper: Keeper) -> None:
    """
    What the program does not want any more is not handled.
    """
    with WebWorkerExecutor(1, launcher="fork", forward_logging=True) as pool:
        pool.submit(double, 1).result(10.0)
        logging.getLogger("images").setLevel(logging.ERROR)
        pool.submit(say, logging.INFO, "too late").result(10.0)
        pool.submit(say, logging.ERROR, "in time").result(10.0)
    assert ["in time"] == keeper.messages


def test_an_exception_is_text(keeper: Keeper) -> None:
    """
    What does not pickle is shown.
    """
    with WebWorkerExecutor(1, launcher="fork", forward_logging=True) as pool:
        pool.submit(fail_aloud).result(10.0)
    (record,) = keeper.records
    assert (record.exc_text or "").endswith("ValueError: no picture")
    assert vars(record)["lock"].startswith("<unlocked _thread.lock")


def test_workers_log_for_themselves_unless_asked(keeper: Keeper, run_script: ScriptRunner) -> None:
    """
    By default nothing is forwarded.
    """
    with WebWorkerExecutor(1) as pool:
        pool.submit(say, logging.INFO, "alone").result(20.0)
    assert [] == keeper.messages


def test_a_copy_of_a_worker_has_no_link(keeper: Keeper) -> None:
    """
    What a task forks neither writes into its worker's link nor fails for it.
    """
    with WebWorkerExecutor(1, launcher="fork", forward_logging=True) as pool:
        assert 1 == pool.submit(say_in_a_fork).result(10.0)
    assert ["original"] == keeper.messages


def test_a_failed_initializer_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    """
    Where the standard library's own words are expected.
    """
    with WebWorkerExecutor(
        1, launcher="fork", initializer=refuse, initargs=("no",), forward_logging=True
    ) as pool:
        assert pool.submit(double, 1).exception(10.0) is not None
    (record,) = [record for record in caplog.records if record.name == "concurrent.futures"]
    assert "Exception in initializer:" == record.getMessage()
    assert "ValueError: no" in (record.exc_text or "")


@pytest.mark.parametrize(
    ("wish", "error", "text"),
    [
        ("LOUD", ValueError, "not 'LOUD'; there are CRITICAL"),
        (1.5, TypeError, "must be True or a level, not float"),
        (None, TypeError, "must be True or a level, not NoneType"),
    ],
)
def test_only_levels_are_levels(wish: object, error: type[Exception], text: str) -> None:
    """
    The mistake is told at the call.
    """
    with pytest.raises(error, match=text):
        WebWorkerExecutor(1, forward_logging=wish)  # type: ignore[arg-type]  # that is the test


def test_a_handler_that_raises_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """
    Neither does a record that does not unpack.
    """
    assert None is logs_for(False)
    logs = Logs("INFO")
    calls: list[object] = []
    record = logging.LogRecord("images", logging.INFO, "a.py", 7, "said", (), None)
    logs.arrived(Frame(LOG, 0, memoryview(pack_record(record, "").payload)), calls.append)
    assert 1 == len(calls)
    caplog.set_level(logging.INFO, "images")
    calls[0]()  # type: ignore[operator]  # it is a call
    assert ["said"] == [each.message for each in caplog.records]


def test_more_than_can_wait_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Of records that come faster than they are handled, so many wait; the rest is told of, once.
    """
    records = [
        logging.LogRecord("images", logging.INFO, "a.py", 7, str(number), (), None)
        for number in range(10)
    ]
    payloads = [memoryview(pack_record(record, "").payload) for record in records]
    monkeypatch.setattr(pool_logs, "MOST_NBYTES", 3 * len(payloads[0]))
    logs = Logs("INFO")
    calls: list[Callable[[], object]] = []
    for payload in payloads:
        logs.arrived(Frame(LOG, 0, payload), calls.append)
    caplog.set_level(logging.INFO, "images")
    for call in calls:
        call()
    told = (
        "6 log records of workers were dropped, because they came faster than the program's "
        "handlers took them"
    )
    assert ["0", "1", "2", "3", told] == [each.getMessage() for each in caplog.records]
    # There is room again.
    logs.arrived(Frame(LOG, 0, payloads[9]), calls.append)
    calls[-1]()
    assert "9" == caplog.records[-1].getMessage()
