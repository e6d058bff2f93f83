"""Docker Spaces from the image that Hugging Face built (`--prebuilt`)."""

from __future__ import annotations

from spacerun.sdks.docker import PREBUILT as SDK

__all__ = ["SDK"]
