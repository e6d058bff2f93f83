"""`launch` with the positional parameters of gradio 6.31, and its order: tunnel, then block, then return."""

import os

from gradio import networking

calls = []


class Blocks:
    def __init__(self, theme=None, **kwargs):
        self.local_url = None
        self.share_url = None

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        return None

    def queue(self, *args, **kwargs):
        return self

    def load(self, *args, **kwargs):
        return None

    def launch(  # noqa: PLR0913, PLR0917 - Gradio's own parameters
        self,
        inline=None,
        inbrowser=False,
        share=None,
        debug=False,
        max_threads=40,
        auth=None,
        auth_message=None,
        prevent_thread_lock=False,
        show_error=False,
        server_name=None,
        server_port=None,
        **others,
    ):
        """Launch it."""
        given = {
            "inline": inline,
            "inbrowser": inbrowser,
            "share": share,
            "debug": debug,
            "auth": auth,
            "auth_message": auth_message,
            "prevent_thread_lock": prevent_thread_lock,
            "show_error": show_error,
            "server_name": server_name,
            "server_port": server_port,
        }
        given.update(others)
        calls.append(given)
        if os.environ.get("STANDIN_LOG"):
            with open(os.environ["STANDIN_LOG"], "a") as log:  # noqa: PTH123 - as short as can be
                log.write(str(share) + "\n")
        self.local_url = "http://{}:{}/".format(server_name or "127.0.0.1", server_port or 7860)
        if share:
            try:
                self.share_url = networking.setup_tunnel("127.0.0.1", 7860, "token")
            except RuntimeError:
                self.share_url = None
        if not prevent_thread_lock:
            self.block_thread()
        return None, self.local_url, self.share_url

    def block_thread(self):
        """Where gradio sleeps for good."""
        if os.environ.get("STANDIN_DIES"):
            os._exit(3)
