"""Answers, with a helper in a session of its own that lost the marker (as frpc would with a scrubbed environment)."""

import os
import subprocess
import sys

import serving

HELPER = "import os, time; open(os.environ['WITNESS'], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
if os.fork() == 0:  # an orphan of its own session, without a trace in the environment
    os.setsid()
    subprocess.Popen([sys.executable, "-c", HELPER], env={"WITNESS": os.environ["WITNESS"]})
    os._exit(0)
os.wait()
subprocess.Popen([sys.executable, "-c", HELPER])
serving.server().serve_forever()
