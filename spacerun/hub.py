"""The Hub: which one, as whom, and its errors in domain words. Imports huggingface_hub only when used."""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from spacerun.errors import FetchError, NotFoundError, SpacerunError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    from spacerun.progress import Progress

TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 4
_LONGEST_WAIT_SECONDS = 60.0
_PASSING = {429, 500, 502, 503, 504}
_T = TypeVar("_T")
_TRUE = {"1", "ON", "YES", "TRUE"}


def endpoint() -> str:
    """Address of the Hub in use, without a trailing slash (`HF_ENDPOINT`, as huggingface_hub reads it)."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Whether the user has switched the Hub off (`HF_HUB_OFFLINE`, as huggingface_hub reads it)."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in _TRUE


def token() -> str | None:
    """The user's token: `HF_TOKEN`, else the one that `hf auth login` stored."""
    from huggingface_hub import get_token

    return get_token()


def api() -> HfApi:
    """A client of the Hub in use that names itself."""
    from huggingface_hub import HfApi

    from spacerun import __version__

    return HfApi(endpoint=endpoint(), library_name="spacerun", library_version=__version__)


def retrying(call: Callable[[], _T], error_type: type[HfHubHTTPError], progress: Progress) -> _T:
    """The result of `call`, which is tried again when the Hub says "later" (429, 5xx).

    Waits as long as the answer's `Retry-After` says (RFC 9110, section 10.2.3), at most a minute, else 1, 2, 4 s.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return call()
        except error_type as error:
            status = error.response.status_code if error.response is not None else 0
            if status not in _PASSING or attempt == _ATTEMPTS - 1:
                raise
            asked = str(error.response.headers.get("Retry-After", ""))
            seconds = min(float(asked) if asked.isdigit() else 2.0**attempt, _LONGEST_WAIT_SECONDS)
            why = "asks to wait" if status == 429 else f"answered {status}"  # noqa: PLR2004
            progress.note(f"The Hub {why}; trying again in {seconds:.0f} s.")
            time.sleep(seconds)
    raise AssertionError  # the loop returns or raises


@contextmanager
def hub_errors(what: str, *, revision: str | None = None) -> Iterator[None]:
    """Turn huggingface_hub's errors about `what` ("Space owner/name") into ours.

    Raises:
        NotFoundError: Missing, private or gated; or the revision is unknown.
        FetchError: The Hub cannot be reached, or answers something that is not its API.
    """
    try:
        yield
    except SpacerunError:
        raise
    except Exception as error:
        told = _not_found(error, what, revision) or _no_answer(error, what)
        if told is None:
            raise
        raise told from error


def _not_found(error: Exception, what: str, revision: str | None) -> NotFoundError | None:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return NotFoundError(
            f"{what} is gated: its owner wants to know who uses it.",
            hint="Ask for access on its page, then log in with: hf auth login",
        )
    if isinstance(error, RevisionNotFoundError):
        return NotFoundError(
            f"{what} has no revision {revision!r}.",
            hint="Give a branch, tag, commit or refs/pr/N, or leave it out for the default branch.",
        )
    if "Invalid credentials" in str(error) or "Invalid user token" in str(error):
        return NotFoundError(
            "The Hub does not accept your token.", hint="Log in again with: hf auth login (or mend HF_TOKEN)"
        )
    if isinstance(error, RepositoryNotFoundError):
        if token():
            return NotFoundError(
                f"{what} is missing or private, and your token may not read it.",
                hint="Check the spelling, or ask its owner for access.",
            )
        return NotFoundError(
            f"{what} is missing or private (without a token the two look alike).",
            hint="Check the spelling, or log in with: hf auth login",
        )
    return None


def _no_answer(error: Exception, what: str) -> FetchError | None:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    where = f"the Hub at {endpoint()}"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return None  # that is no answer of the Hub's; whoever writes knows what could not be written
    if isinstance(error, OfflineModeIsEnabled):
        return FetchError(f"{what} is not on this disk, and HF_HUB_OFFLINE is set.", hint="Unset HF_HUB_OFFLINE.")
    if isinstance(error, HfHubHTTPError):
        return FetchError(
            f"Asked for {what}, {where} answered: {one_line(str(error))}",
            hint="Try again in a minute; HF_ENDPOINT tells which Hub is asked.",
            passing=error.response is not None and error.response.status_code in _PASSING,
        )
    if is_transport_error(error):
        return FetchError(
            f"T{where[1:]} cannot be reached: {one_line(str(error)) or type(error).__name__}",
            hint="Check the network, or add --offline to use what is on this disk.",
            passing=True,
        )
    if isinstance(error, (OSError, ValueError, TypeError, KeyError, AttributeError)):
        return FetchError(
            f"What {where} said of {what} is not the Hub's API: {type(error).__name__}: {one_line(str(error))}",
            hint="Check that the address opens in a browser; HF_ENDPOINT tells which Hub is asked.",
        )
    return None


def is_no_answer(error: Exception) -> bool:
    """Whether `error` says that the Hub gave no answer that can be used: a dead line, a refusal, or nonsense."""
    return isinstance(error, (OSError, ValueError, TypeError, KeyError)) or is_transport_error(error)


def is_transport_error(error: Exception) -> bool:
    """Whether `error` says that the line failed, and not that the Hub said no."""
    # huggingface_hub 1.x speaks through httpx, 2.x through httpx2; neither wraps connection errors.
    if isinstance(error, ConnectionError):
        return True
    return any(kind.__module__.split(".")[0] in {"httpx", "httpx2"} for kind in type(error).__mro__)
