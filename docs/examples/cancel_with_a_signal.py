"""
Stop all tasks of one search with one signal: the first that finds something ends the others.
"""

from webworker_executor import AbortController, TaskAborted, WebWorkerExecutor, current_task


def search(start: int, wanted: int) -> int:
    """Look for a number from a start on, and look now and then whether anybody still cares."""
    signal = current_task().signal
    number = start
    while number != wanted:
        if number % 1000 == 0:
            signal.throw_if_aborted()
        number += 1
    return number


with WebWorkerExecutor(max_workers=2) as executor:
    controller = AbortController()
    searching = executor.options(signal=controller.signal)
    right = searching.submit(search, start=0, wanted=100_000)
    wrong = searching.submit(search, start=200_000, wanted=100_000)
    print("found", right.result())
    controller.abort("somebody else has found it")

    try:
        wrong.result()
    except TaskAborted as error:
        print(error)
