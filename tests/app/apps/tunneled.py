"""A Gradio app whose share link leads to TUNNEL: FORWARD says whether anything is there."""

import os
import socket
import threading
from typing import ClassVar

import serving


class Gradio(serving.Page):
    replies: ClassVar = {"/": (200, "page"), "/config": (401, {"detail": "Not authenticated"})}


def forward(client):
    target = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))

    def pour(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    threading.Thread(target=pour, args=(client, target), daemon=True).start()
    pour(target, client)
    client.close()


def tunnel():
    entry = socket.create_server(("127.0.0.1", int(os.environ["TUNNEL"])))
    while True:
        threading.Thread(target=forward, args=(entry.accept()[0],), daemon=True).start()


one = serving.server(page=Gradio)
if "FORWARD" in os.environ:
    threading.Thread(target=tunnel, daemon=True).start()
serving.report_launch()
print(f"* Running on public URL: http://127.0.0.1:{os.environ['TUNNEL']}")
one.serve_forever()
