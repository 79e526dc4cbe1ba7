"""
What ``from webworker_executor import *`` gives; see ``test_types``.
"""

from webworker_executor import *  # noqa: F403  # that is what is tested


def executor() -> WebWorkerExecutor:  # noqa: F405  # from there
    """Make an executor."""
    return WebWorkerExecutor(1, launcher="fork")  # noqa: F405  # from there
