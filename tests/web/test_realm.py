"""
Tests of `webworker_executor.web.realm`: where processes of one program find each other.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import socket
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.pool.strike import Strike
from webworker_executor import WebWorkerExecutor
from webworker_executor.link import fds
from webworker_executor.web import realm

if TYPE_CHECKING:
    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName

LIMIT = 20.0


def test_all_processes_of_a_program_mean_the_same_address(launcher: LauncherName) -> None:
    """A worker makes it of the same secret."""
    with WebWorkerExecutor(1, launcher=launcher) as executor:
        theirs = executor.submit(realm.prefix, "lock", "x").result(LIMIT)
    assert realm.prefix("lock", "x") == theirs


def test_what_is_not_the_same_has_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another name, nor another purpose, nor another program."""
    addresses = {
        realm.prefix("lock", "x"),
        realm.prefix("lock", "y"),
        realm.prefix("lock", "\udc80"),
        realm.prefix("channel", "x"),
    }
    monkeypatch.setattr(multiprocessing.current_process(), "authkey", b"another")
    assert 5 == len({*addresses, realm.prefix("lock", "x")})


def test_an_address_is_in_the_list_while_somebody_listens() -> None:
    """Whole, and only those that begin so."""
    address = f"webworker-executor-test-{os.getpid()}-a"
    with realm.listener(address):
        assert {address} == realm.addresses(address[:-1])
        assert set() == realm.addresses(address + "b")
    assert set() == realm.addresses(address[:-1])


def test_one_listens_at_an_address() -> None:
    """The second hears so, and nobody is where nobody listens."""
    address = f"webworker-executor-test-{os.getpid()}-one"
    with realm.listener(address), pytest.raises(OSError, match="in use"):
        realm.listener(address)
    assert realm.connected(address) is None


def test_another_user_is_not_called(run_script: ScriptRunner) -> None:
    """The kernel says who listens."""
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    ended = run_script(
        dedent("""\
        import os
        from webworker_executor.web import realm

        with realm.listener("webworker-executor-test-other-user"):
            child = os.fork()
            if not child:
                os.setuid(65534)
                os._exit(realm.connected("webworker-executor-test-other-user") is not None)
            assert 0 == os.waitpid(child, 0)[1]
        print("not called")
        """)
    )
    assert "not called\n" == ended.stdout, ended.stderr


# It is closed by nobody but itself, and says so.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("lowest", [0, 200])
def test_a_handler_that_raises_where_a_socket_is_made_leaves_none(
    monkeypatch: pytest.MonkeyPatch, lowest: int
) -> None:
    """No descriptor stays open, also where it is moved away from the standard streams."""
    monkeypatch.setattr(fds, "LOWEST", lowest)
    before = os.listdir("/proc/self/fd")
    for number in itertools.count(1):
        strike = Strike("listener", number)
        strike.during(lambda: realm.listener("webworker-executor-struck").close())
        assert before == os.listdir("/proc/self/fd"), strike.where
        if not strike.where:
            break
    assert number > 5


def test_a_socket_has_no_number_of_a_standard_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program prints after it has closed its own does not go to others."""
    monkeypatch.setattr(fds, "LOWEST", 200)
    with realm.listener("webworker-executor-high", socket.SOCK_SEQPACKET) as listener:
        assert listener.fileno() >= 200
        end = realm.connected("webworker-executor-high", kind=socket.SOCK_SEQPACKET)
        assert end is not None
        with end:
            assert end.fileno() >= 200
