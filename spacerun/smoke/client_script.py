"""Calls one function of a Gradio app by the gradio_client of the Space's own environment: `client_script.py ORDER`.

Runs in the Space's own Python (3.7 and later), with any gradio_client. ORDER is a JSON file: `url`, `api_name` or
`fn_index`, `arguments`, `folder` for whatever is downloaded, `seconds` to wait for an answer, and `as_is`: whether
arguments and outputs stay in the form in which the page sends them. Writes lines of JSON on standard output:
`{"ready": true}` once the client knows the app, then `{"value": …, "count": …, "seconds": …}`,
`{"late": true, "count": …}` or `{"error": …, "type": …}`.
"""

from __future__ import annotations

import concurrent.futures
import inspect
import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Make the call that the file names, and tell what comes of it."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the client prints what it has loaded
    with open(sys.argv[1], encoding="utf-8") as stream:  # noqa: PTH123 - importing pathlib takes its time
        order = json.load(stream)

    def tell(**what: object) -> None:
        told.write(json.dumps(what, default=str) + "\n")
        told.flush()

    try:
        client = connect(order)
        tell(ready=True)
        began = time.time()
        target = {name: order[name] for name in ("api_name", "fn_index") if name in order}
        job = client.submit(*order["arguments"], **target)
        try:
            # Until 0.3 or so `job.result` is the first that a generator yields.
            value = getattr(job, "future", job).result(timeout=order["seconds"])
        except concurrent.futures.TimeoutError:
            tell(late=True, count=len(job.outputs()))
        else:
            seconds = time.time() - began
            if isinstance(value, tuple) and len(value) == 1:  # 0.1, with arguments as they are
                value = value[0]
            tell(value=bare(value, order["folder"]), count=max(len(job.outputs()), 1), seconds=seconds)
    except BaseException as error:  # noqa: BLE001 - told to who asked
        tell(error=str(error), type=type(error).__name__)
    # The client's threads may wait for more, and would keep this process.
    os._exit(0)


def connect(order: dict[str, Any]) -> Any:  # noqa: ANN401 - a Client
    """A client of the app; what it is called with differs from release to release."""
    from gradio_client import Client  # type: ignore[import-not-found]

    known = inspect.signature(Client.__init__).parameters
    wanted = {
        "verbose": False,
        "serialize": not order["as_is"],  # until 0.10
        "output_dir": order["folder"],  # until 0.16, then `download_files`
        "download_files": order["folder"],
        "analytics_enabled": False,
        "httpx_kwargs": {"timeout": order["seconds"]},  # else 5 s for each answer
    }
    return Client(order["url"], **{name: value for name, value in wanted.items() if name in known})


def bare(value: object, folder: str) -> object:
    """`value` with each file that was downloaded to `folder` as its bare name."""
    if isinstance(value, str):
        return value.rpartition("/")[2] if value.startswith(folder + "/") else value
    if isinstance(value, (list, tuple)):
        return [bare(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: bare(item, folder) for key, item in value.items()}
    return value


if __name__ == "__main__":
    main()
