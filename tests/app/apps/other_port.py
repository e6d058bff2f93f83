"""Listens on a port of its own choice, whatever it was asked."""

import os

import serving

serving.server(int(os.environ["OTHER_PORT"]), host=os.environ.get("HOST", "127.0.0.1")).serve_forever()
