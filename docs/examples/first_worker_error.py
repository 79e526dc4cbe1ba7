"""
Let a worker fail, and hear of it.
"""

from webworker_executor import ErrorEvent, Worker

SCRIPT = """
def onmessage(event):
    post_message(100 / event.data)
"""


def show(event: ErrorEvent) -> None:
    """Print what the worker did not catch; runs in this process, on the thread for events."""
    print("error:", event.message, "in line", event.lineno)
    worker.post_message(5)


worker = Worker(source=SCRIPT)
worker.onerror = show
with worker:
    worker.post_message(0)
    print("answer:", worker.receive(timeout=10).data)
