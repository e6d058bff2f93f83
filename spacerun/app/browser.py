"""The user's browser, where there is one."""

from __future__ import annotations

import os
import sys

_SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


def open_page(url: str) -> bool:
    """Open `url` in the user's browser.

    Returns:
        Whether one took it. Without a screen, and without the user's own choice in BROWSER, none is asked: what
        Python's `webbrowser` finds then are text browsers, which would take over the terminal.
    """
    import webbrowser

    if sys.platform != "darwin" and not any(map(os.environ.get, _SCREENS)):
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
