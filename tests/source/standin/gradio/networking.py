from __future__ import annotations

import os


def setup_tunnel(local_host, local_port, share_token):
    if os.environ.get("STANDIN_OFFLINE"):
        raise ConnectionError("no route to host")
    return "https://0123456789abcdef.gradio.live"
