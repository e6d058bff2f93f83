"""Never answers. GROW names a file that grows for a while, CHATTER writes to the log for a while."""

import os
import time
from pathlib import Path

began = time.monotonic()
while True:
    time.sleep(0.1)
    if time.monotonic() - began < float(os.environ.get("BUSY_SECONDS", "0")):
        if "GROW" in os.environ:
            with Path(os.environ["GROW"]).open("ab") as growing:
                growing.write(b"x" * 8192)
        if "CHATTER" in os.environ:
            print("still loading")
