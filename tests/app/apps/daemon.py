"""Goes to the background as daemons do: fork, setsid, fork; CLEAR forgets its environment by a fresh program too."""

import os
import sys

import serving

if "AGAIN" in os.environ:
    serving.note_pid()
    serving.server().serve_forever()
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
environment = {"AGAIN": "1", "PORT": os.environ["PORT"], "WITNESS": os.environ["WITNESS"]}
if "CLEAR" not in os.environ:
    environment = {**os.environ, **environment}
os.execve(sys.executable, [sys.executable, __file__], environment)
