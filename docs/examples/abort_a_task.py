"""
Give a task so much time, and stop it if that was not enough.
"""

from webworker_executor import TaskAborted, WebWorkerExecutor


def fibonacci(number: int) -> int:
    """Compute a number of Fibonacci in the slowest way there is."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


with WebWorkerExecutor(max_workers=2) as executor:
    futures = {number: executor.submit(fibonacci, number) for number in (10, 90, 15)}
    for number, future in futures.items():
        try:
            print(number, "->", future.result(timeout=5.0))
        except TimeoutError:
            print(number, "-> stopped:", future.abort(reason="it takes too long"))

    try:
        futures[90].result()
    except TaskAborted as error:
        print(error)
