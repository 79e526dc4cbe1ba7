"""Two workers talk to each other; the program that made their channel is not in between."""

from webworker_executor import MessageChannel, MessagePort, WebWorkerExecutor


def count(port: MessagePort, limit: int) -> str:
    for number in range(limit):
        port.post_message(number)
    answer = port.receive().data
    port.close()
    return f"sent {limit} numbers, got back {answer}"


def add(port: MessagePort, limit: int) -> str:
    total = sum(port.receive().data for _ in range(limit))
    port.post_message(total)
    left = [event.data for event in port]
    return f"added to {total}, then the other side closed and had left {left}"


if __name__ == "__main__":
    with WebWorkerExecutor(2) as executor:
        channel = MessageChannel()
        counting = executor.submit(count, channel.port1, 1000)
        adding = executor.submit(add, channel.port2, 1000)
        print(counting.result())
        print(adding.result())
        print("our ends are detached:", channel.port1.detached, channel.port2.detached)
