"""An asyncio program talks with a worker over a port, and does other things meanwhile."""

import asyncio

from webworker_executor import MessageChannel, MessagePort, WebWorkerExecutor


def shout(port: MessagePort) -> int:
    answered = 0
    for event in port:
        port.post_message(event.data.upper() + "!")
        answered += 1
    return answered


async def main() -> None:
    loop = asyncio.get_running_loop()
    with WebWorkerExecutor(1) as executor, MessageChannel() as channel:
        worker = loop.run_in_executor(executor, shout, channel.port2)
        port = channel.port1
        for word in ("hello", "anybody there", "bye"):
            port.post_message(word)
            event = await port.areceive()
            print(f"{word} -> {event.data}")
        port.close()
        print("answered:", await worker)


if __name__ == "__main__":
    asyncio.run(main())
