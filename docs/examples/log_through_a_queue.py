"""
Send the log records of all workers through one queue to the handlers of this process.
"""

import logging
import logging.handlers
import multiprocessing
import sys
from typing import Any

from webworker_executor import WebWorkerExecutor


def set_up_logging(queue: Any) -> None:
    """Initialise a worker: its records go into the queue, and nowhere else."""
    root = logging.getLogger()
    root.handlers = [logging.handlers.QueueHandler(queue)]
    root.setLevel(logging.INFO)


def resize(name: str) -> str:
    """Do some work that has something to tell."""
    logging.getLogger("images").info("resizing %s", name)
    return name.replace(".png", "-small.png")


handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

queue = multiprocessing.get_context("spawn").Queue()
listener = logging.handlers.QueueListener(queue, handler)
listener.start()
with WebWorkerExecutor(max_workers=1, initializer=set_up_logging, initargs=(queue,)) as executor:
    results = list(executor.map(resize, ["cat.png", "dog.png"]))
listener.stop()
queue.close()
queue.join_thread()
print(results)
