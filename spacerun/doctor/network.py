"""The Hub and the user's token."""

from __future__ import annotations

from typing import Final

from spacerun import hub as the_hub
from spacerun.doctor import Check
from spacerun.errors import SpacerunError
from spacerun.text import one_line

_SECONDS: Final = 4.0
_UNAUTHORIZED: Final = 401
_SERVER_ERROR: Final = 500
_SWITCHED_OFF: Final = "not asked: HF_HUB_OFFLINE is set"
_LOG_IN: Final = "hf auth login"


def hub() -> Check:
    """Whether the Hub in use answers; one question without credentials, to which its API always has an answer."""
    if the_hub.is_offline():
        return Check("hub", "remark", _SWITCHED_OFF, "unset HF_HUB_OFFLINE")
    from huggingface_hub import get_session

    where = the_hub.endpoint()
    try:
        with the_hub.hub_errors("the user of no token"):
            answer = get_session().get(f"{where}/api/whoami-v2", timeout=_SECONDS)
            status = answer.status_code
            if status < _SERVER_ERROR:
                answer.json()
    except SpacerunError as error:
        return Check("hub", "remark", error.message, error.hint)
    if status >= _SERVER_ERROR:
        return Check("hub", "remark", f"{where} answers with HTTP {status}; what is on this disk can be launched")
    return Check("hub", "ok", f"{where} answers")


def token() -> Check:
    """Whether the Hub accepts the user's token. The token itself is never shown."""
    value = the_hub.token()
    if value is None:
        return Check("token", "remark", "none; public Spaces need none", _LOG_IN)
    if the_hub.is_offline():
        return Check("token", "remark", _SWITCHED_OFF)
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with the_hub.hub_errors("the user of your token"):
            name = the_hub.api().whoami(token=value)["name"]
    except SpacerunError as error:
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError) and cause.response.status_code == _UNAUTHORIZED:
            return Check("token", "missing", "the Hub does not accept yours (private Spaces stay closed)", _LOG_IN)
        return Check("token", "remark", f"could not be checked: {error.message}")
    return Check("token", "ok", f"valid, of {one_line(str(name), 60)}")
