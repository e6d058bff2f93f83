"""A Gradio that ends with its share link, in the way of DEATH, unless its hook forbids the link."""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import serving

LAST_WORDS = {
    "spaces": "RuntimeError: Share is not supported when you are in Spaces",
    "ssh": "*** Failed to connect to ec2.example.com:22: timed out",
    "traceback": '  File "/venv/lib/python3.8/site-packages/gradio/networking.py", line 165, in setup_tunnel',
    "other": "ValueError: nothing to do with it",
}


class Gradio(serving.Page):
    replies: ClassVar = {"/": (200, "page"), "/config": (401, {"detail": "Not authenticated"})}


one = serving.server(page=Gradio)
threading.Thread(target=one.serve_forever, daemon=True).start()
serving.report_launch()
hook = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
if json.loads((hook / "launch.json").read_text())["share"]:
    if os.environ["DEATH"] == "ssh":
        time.sleep(1.5)  # it answers by then
    print(LAST_WORDS[os.environ["DEATH"]], file=sys.stderr)
    sys.exit(1)
threading.Event().wait()
