"""Models that libraries know by a name of their own and fetch from elsewhere: how many parameters they have."""

from __future__ import annotations

import re
from typing import Final

_MILLION: Final = 10**6
# By library: name, millions of parameters, and the type that the file holds them in.
_KNOWN: Final[dict[str, tuple[tuple[str, float, str], ...]]] = {
    # github.com/openai/whisper, README, "Available models and languages".
    "whisper": (
        (r"tiny(\.en)?", 39, "float16"), (r"base(\.en)?", 74, "float16"), (r"small(\.en)?", 244, "float16"),
        (r"medium(\.en)?", 769, "float16"), (r"large(-v[123])?", 1550, "float16"),
        (r"(large-v3-)?turbo", 809, "float16"),
    ),
    # openai/CLIP, `sum(p.numel() for p in model.parameters())` as in its README's notebook.
    "clip": (
        ("RN50", 102.0, "float16"), ("RN101", 119.7, "float16"), ("RN50x4", 178.3, "float16"),
        ("RN50x16", 291.0, "float16"), ("RN50x64", 623.3, "float16"), ("ViT-B/32", 151.3, "float16"),
        ("ViT-B/16", 149.6, "float16"), ("ViT-L/14", 427.6, "float16"), ("ViT-L/14@336px", 427.9, "float16"),
    ),
    # docs.ultralytics.com/models: YOLOv8, YOLO11; segmentation and pose are a little larger.
    "ultralytics": (
        (r"yolov8n.*", 3.2, "float16"), (r"yolov8s.*", 11.2, "float16"), (r"yolov8m.*", 25.9, "float16"),
        (r"yolov8l.*", 43.7, "float16"), (r"yolov8x.*", 68.2, "float16"), (r"yolo11n.*", 2.6, "float16"),
        (r"yolo11s.*", 9.4, "float16"), (r"yolo11m.*", 20.1, "float16"), (r"yolo11l.*", 25.3, "float16"),
        (r"yolo11x.*", 56.9, "float16"),
    ),
}  # fmt: skip


def parameters_of(library: str, name: str) -> tuple[int, str] | None:
    """Parameters of a library's own model and the type they are stored in; None where it is not known."""
    for pattern, millions, dtype in _KNOWN.get(library, ()):
        if re.fullmatch(pattern, name):
            return round(millions * _MILLION), dtype
    return None
