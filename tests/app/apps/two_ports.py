"""Opens a page for itself first, and a moment later the one that it was asked for."""

import threading
import time

import serving

threading.Thread(target=serving.server(0).serve_forever, daemon=True).start()
time.sleep(1.5)
serving.server().serve_forever()
