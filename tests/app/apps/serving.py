"""What the test programs share: a small HTTP server, and a note of a pid."""

import http.server
import json
import os
from pathlib import Path
from typing import ClassVar


def note_pid():
    with Path(os.environ["WITNESS"]).open("a") as witness:
        witness.write(f"{os.getpid()}\n")


def report_launch():
    """Write what the start-up hook writes when Gradio's launch is called."""
    hook = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    hook.mkdir(exist_ok=True)
    with (hook / "launched.jsonl").open("a") as report:
        report.write(json.dumps({"launching": os.getpid()}) + "\n")


class Page(http.server.BaseHTTPRequestHandler):
    """Answers each path of `replies`: status, JSON or text."""

    replies: ClassVar = {"/": (200, "hello")}

    def reply(self):
        status, content = self.replies.get(self.path, (404, "nothing here"))
        as_json = not isinstance(content, str)
        body = (json.dumps(content) if as_json else content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if as_json else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply()

    def log_message(self, *args):
        pass


def server(port=None, host="127.0.0.1", page=Page):
    return http.server.ThreadingHTTPServer((host, int(os.environ["PORT"]) if port is None else port), page)
