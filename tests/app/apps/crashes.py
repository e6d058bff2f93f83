"""Ends at once: STATUS, or SIGNAL."""

import os
import sys

for number in range(30):
    print("line", number)
if "SIGNAL" in os.environ:
    os.kill(os.getpid(), int(os.environ["SIGNAL"]))
print("ImportError: cannot import name 'HfFolder' \x1b[31mred\x1b[0m", file=sys.stderr)
sys.exit(int(os.environ.get("STATUS", "1")))
