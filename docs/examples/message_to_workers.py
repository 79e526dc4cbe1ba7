"""
Talk with a worker in both directions while it lives.
"""

from webworker_executor import MessageEvent, WebWorkerExecutor, scope

greeting = "Hello"


def listen() -> None:
    """Initialise a worker: take messages from now on, between two tasks."""
    scope.onmessage = change_greeting


def change_greeting(event: MessageEvent) -> None:
    """Handle a message in the worker, and answer it."""
    global greeting
    greeting = event.data
    scope.post_message(f"from now on it is {greeting}")


def greet(name: str) -> str:
    """Greet, as the last message said."""
    return f"{greeting}, {name}"


with WebWorkerExecutor(max_workers=1, initializer=listen) as executor:
    print(executor.submit(greet, "Ada").result())
    worker = executor.workers[0]
    worker.post_message("Servus")
    print(worker.receive(timeout=10.0).data)
    print(executor.submit(greet, "Ada").result())
