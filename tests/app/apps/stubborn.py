"""Ignores SIGTERM, SIGINT and SIGHUP, and so does its child."""

import os
import signal

import serving

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
one = serving.server()
os.fork()
serving.note_pid()
one.serve_forever()
