"""
Post much to a slow reader, and let it set the pace.
"""

from webworker_executor import WebWorkerExecutor, current_task

MIB = 1 << 20


def post_in_pieces(nbytes: int) -> int:
    """Post so many bytes, and return how many of them waited at most."""
    task, most = current_task(), 0
    for _ in range(nbytes >> 16):
        task.post_message(bytes(1 << 16))
        most = max(most, task.buffered_amount)
        task.drain()
    return most


with WebWorkerExecutor(1) as executor:
    future = executor.submit(post_in_pieces, 20 * MIB)
    print(sum(len(event.data) for event in future.messages()) // MIB, "MiB came")
    print("less than 1 MiB waited beyond the free one:", future.result() < MIB)
