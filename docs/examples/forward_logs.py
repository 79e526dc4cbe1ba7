"""
Have what workers log handled by the loggers of this process.
"""

import logging
import sys

from webworker_executor import WebWorkerExecutor


def resize(name: str) -> str:
    """Do some work that has something to tell."""
    log = logging.getLogger("images")
    log.info("resizing %s", name)
    log.debug("nobody asked for this")
    return name.replace(".png", "-small.png")


logging.basicConfig(
    stream=sys.stdout,
    level=logging.INFO,
    format="%(levelname)s %(name)s in %(processName)s: %(message)s",
)
with WebWorkerExecutor(max_workers=1, forward_logging=True) as executor:
    results = list(executor.map(resize, ["cat.png", "dog.png"]))
print(results)
