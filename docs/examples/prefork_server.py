"""
Serve HTTP with several processes that accept on one listening socket.
"""

import os
import socket
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from webworker_executor import MessageEvent, Worker, scope

N_WORKERS = 4


class Handler(BaseHTTPRequestHandler):
    """Tells which process has answered."""

    def do_GET(self) -> None:
        """Answer a request."""
        body = f"process {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def serve() -> None:
    """Run in each worker: wait for the socket, then accept for ever."""
    scope.onmessage = accept


def accept(event: MessageEvent) -> None:
    """Take the socket out of the message and serve on it."""
    server = HTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=event.fd)
    scope.post_message("serving")
    server.serve_forever()


with socket.create_server(("127.0.0.1", 0)) as listener:
    port = listener.getsockname()[1]
    workers = [Worker(serve, name=f"http-{number}") for number in range(N_WORKERS)]
    for worker in workers:
        # A duplicate: the socket stays this process's as well.
        worker.post_message(None, fds=[listener])
    for worker in workers:
        worker.receive(timeout=30)

    answers = []
    for _ in range(20):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as response:
            answers.append(response.read().decode())
    known = {f"process {worker.pid}" for worker in workers}
    print(len(answers), "answers, all by workers:", set(answers) <= known)

    for worker in workers:
        worker.terminate(timeout=0.1)
for worker in workers:
    worker.exited.result()
