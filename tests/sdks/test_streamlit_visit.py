"""What a visit makes of the bytes that a Streamlit app sends, and of servers that are none."""

from __future__ import annotations

import http.server
import threading
import time

import pytest

from spacerun.app.answer import Listener
from spacerun.sdks.streamlit_visit import Visit, fields, is_healthy


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", []),
        (b"\x30\x00", [(6, 0)]),
        (b"\x08\x96\x01", [(1, 150)]),
        (b"\x2a\x03abc\x30\x02", [(5, b"abc"), (6, 2)]),
        (b"\x0d\x01\x02\x03\x04\x11" + bytes(8), [(1, b"\x01\x02\x03\x04"), (2, bytes(8))]),
    ],
)
def test_fields_of_a_message(message: bytes, expected: list[tuple[int, bytes | int]]) -> None:
    assert list(fields(message)) == expected


@pytest.mark.parametrize("message", [b"\x2a\x05abc", b"\x2a", b"\x30", b"\x33", b"\xff" * 20, b"\x0d\x01", 7])
def test_what_is_no_message_is_refused(message: bytes | int) -> None:
    with pytest.raises(ValueError, match=r"cut short|unknown type|not a message"):
        list(fields(message))


def test_a_server_that_is_not_streamlit_fails_the_visit_and_nothing_else() -> None:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_error(404)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        listener = Listener("127.0.0.1", server.server_address[1], 0)
        assert not is_healthy(listener)
        visit = Visit(listener)
        deadline = time.monotonic() + 20
        while not visit.over and time.monotonic() < deadline:
            time.sleep(0.05)
        assert (visit.over, visit.failed, visit.raised) == (True, True, None)
        server.shutdown()
