"""
Let workers tell how far they are.
"""

from webworker_executor import MessageEvent, WebWorkerExecutor, scope


def count_to(limit: int) -> int:
    """Count, and post a message at every thousandth step."""
    total = 0
    for number in range(1, limit + 1):
        total += number
        if number % 1000 == 0:
            scope.post_message(f"counted to {number}")
    return total


def show(event: MessageEvent) -> None:
    """Print a message of a worker; runs in this process, on the thread for events."""
    print("message:", event.data)


with WebWorkerExecutor(max_workers=1) as executor:
    executor.workers[0].onmessage = show
    future = executor.submit(count_to, 3000)
total = future.result()
print("result:", total)
