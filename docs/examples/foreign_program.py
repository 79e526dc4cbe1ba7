"""
A worker in any language: descriptor 3, one byte of greeting, and JSON behind lengths.
"""

import sys

from webworker_executor import DataCloneError, Worker

# Stands for a program in whatever language: it needs nothing of this package.
PROGRAM = r"""
import json, os

def read(count):
    data = b""
    while len(data) < count:
        more = os.read(3, count - len(data))
        if not more:
            raise SystemExit
        data += more
    return data

read(1)  # the host greets with 0x00
os.write(3, b"\1")
while True:
    order = json.loads(read(int.from_bytes(read(4), "big")))
    answer = json.dumps({"total": sum(order["prices"])}).encode()
    os.write(3, len(answer).to_bytes(4, "big") + answer)
"""


def main() -> None:
    with Worker(command=[sys.executable, "-c", PROGRAM], codec="json") as worker:
        worker.post_message({"prices": [3, 4, 5]})
        print(worker.receive(timeout=10).data)
        try:
            worker.post_message({"prices": {1, 2}})
        except DataCloneError as error:
            print(error)


if __name__ == "__main__":
    main()
