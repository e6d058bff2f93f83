"""Answers on the port asked for; LINE is printed first, SECONDS is how long it lives, STATUS how it ends."""

import os
import threading

import serving

if "LINE" in os.environ:
    print(os.environ["LINE"])
one = serving.server(host=os.environ.get("HOST", "127.0.0.1"))
if "SECONDS" in os.environ:
    threading.Timer(float(os.environ["SECONDS"]), os._exit, [int(os.environ.get("STATUS", "0"))]).start()
one.serve_forever()
