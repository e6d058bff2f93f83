"""Speaks like Gradio: MODE is sound, broken, login, prefix, old, numbered or none."""

import os
from typing import ClassVar

import serving

DATA_MISSING = {"detail": [{"type": "missing", "loc": ["body", "data"], "msg": "Field required"}]}
DRIFTED = {"detail": [{"type": "missing", "loc": ["body", "event_id"], "msg": "Field required"}]}
CONFIG = {"version": "4.44.0", "dependencies": []}
REPLIES = {
    "sound": {"/config": (200, CONFIG), "/run/predict": (422, DATA_MISSING)},
    "raising": {"/config": (200, CONFIG), "/run/predict": (500, "Internal Server Error")},
    "broken": {"/config": (200, {**CONFIG, "version": "3.20.1\n"}), "/run/predict": (422, DRIFTED)},
    "login": {"/config": (401, {"detail": "Not authenticated"}), "/run/predict": (422, DRIFTED)},
    "prefix": {
        "/config": (200, {**CONFIG, "api_prefix": "/gradio_api"}),
        "/run/predict": (200, "the wrong one"),
        "/gradio_api/run/predict": (422, DRIFTED),
    },
    "old": {"/config": (200, {"version": "2.9.4"}), "/run/predict": (422, DRIFTED)},
    "numbered": {
        "/config": (401, {"detail": "Not authenticated"}),
        "/app_id": (200, {"app_id": int(os.environ.get("APP_ID", "0"))}),
    },
    "none": {"/run/predict": (422, DRIFTED)},
}


class Gradio(serving.Page):
    replies: ClassVar = {"/": (200, "page"), **REPLIES[os.environ["MODE"]]}

    def do_POST(self):  # noqa: N802 - http.server's name
        print("asked", self.path)
        super().do_POST()


if "LAUNCHED" in os.environ:
    serving.report_launch()
for line in os.environ.get("LINES", "").split("|"):
    print(line)
serving.server(page=Gradio).serve_forever()
