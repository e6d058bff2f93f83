"""The console script, with a tunnel client of the tests: `with_tunnels.py URL SHA256 ARGUMENTS...`.

The tunnel server is named as a user names an own one: by `--env GRADIO_SHARE_SERVER_ADDRESS=HOST:PORT`.
"""

import sys
from functools import partial

from spacerun.__main__ import main
from spacerun.app import doors
from spacerun.app.frpc import Client
from spacerun.app.tunnel import Service

doors.Service = partial(Service, client=Client(sys.argv[1], sys.argv[2]))
del sys.argv[1:3]
main()
