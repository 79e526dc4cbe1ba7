"""
Launchers are known by their names.
"""

from __future__ import annotations

import pytest

from webworker_executor.launch.fork import ForkLauncher
from webworker_executor.launch.spawn import SpawnLauncher
from webworker_executor.launch.zygote import ZygoteLauncher
from webworker_executor.web.launchers import find_launcher


def test_launchers_by_name() -> None:
    """
    A name is a launcher, and so is a launcher.
    """
    kinds = {"spawn": SpawnLauncher, "zygote": ZygoteLauncher, "fork": ForkLauncher}
    assert kinds == {name: type(find_launcher(name)) for name in kinds}
    assert find_launcher("zygote") is find_launcher("zygote")
    assert find_launcher("zygote") is not find_launcher("zygote", is_shared=False)
    own = SpawnLauncher()
    assert own is find_launcher(own)
    with pytest.raises(TypeError, match="a name or a launcher"):
        find_launcher(5)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="not 'thread'"):
        find_launcher("thread")
