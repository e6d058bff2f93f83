"""Where files lie, and how parts of them are read: a repository on the Hub, a folder on this disk."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from spacerun import __version__, hub
from spacerun.checkpoints.unreadable import AbsentError, ClosedError, UnreadableError
from spacerun.errors import NotFoundError, SpacerunError
from spacerun.progress import SilentProgress
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TIMEOUT_SECONDS: Final = 10.0
# For one read, however steadily its bytes drip.
LONGEST_READ_SECONDS: Final = 60.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_PART: Final = 206
_WHOLE: Final = 200
_BEYOND_THE_END: Final = 416
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class Place(Protocol):
    """Where files lie."""

    @property
    def name(self) -> str | None:
        """A name under which the same files lie for ever; None where they may change."""

    def read(self, file: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop - 1` of a file, fewer where it ends before.

        Args:
            file: Its path.
            start: The first byte.
            stop: The one after the last.

        Raises:
            AbsentError: There is no such file.
            ClosedError: No file of this place can be read.
            UnreadableError: This file cannot.
        """


@dataclass(frozen=True)
class OnHub:
    """A repository on the Hub, read with the user's token.

    Attributes:
        repo: `owner/name`.
        revision: Full commit; None for the default branch.
        kind: Kind of repository.
        offline: Ask for nothing: what was not read before cannot be.
    """

    repo: str
    revision: str | None
    kind: Literal["model", "space"] = "model"
    offline: bool = False

    @property
    def name(self) -> str | None:
        """See `Place`; a commit names the same files on every Hub."""
        if self.revision is None or not _COMMIT.fullmatch(self.revision):
            return None
        return f"{self.kind} {self.repo} {self.revision}"

    def read(self, file: str, start: int, stop: int) -> bytes:
        """See `Place`; what the Hub answers with "later" is asked for again (`hub.retrying`)."""
        from huggingface_hub.errors import HfHubHTTPError

        if self.offline:
            raise ClosedError("It was not looked into before, and nothing is asked of the Hub.")
        if stop <= start:
            return b""
        what = f"{'Space' if self.kind == 'space' else 'Model'} {one_line(self.repo)}"
        try:
            with hub.hub_errors(what, revision=self.revision):
                return hub.retrying(lambda: self._asked(file, start, stop), HfHubHTTPError, SilentProgress())
        except UnreadableError:
            raise
        except SpacerunError as error:
            raise _kind_of(error)(error.message) from error

    def _asked(self, file: str, start: int, stop: int) -> bytes:
        try:
            return self._part(file, start, stop)
        except Exception as error:
            # A line that broke is worth a second try, a silent Hub is not worth a second wait.
            if not hub.is_transport_error(error) or _is_timeout(error):
                raise
        return self._part(file, start, stop)

    def _part(self, file: str, start: int, stop: int) -> bytes:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        address = hf_hub_url(self.repo, file, repo_type=self.kind, revision=self.revision, endpoint=hub.endpoint())
        headers = build_hf_headers(library_name="spacerun", library_version=__version__) | {
            "Range": f"bytes={start}-{stop - 1}",
            "Accept-Encoding": "identity",
        }
        # The CDN is another host: httpx follows there without the token.
        with get_session().stream(
            "GET", address, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True
        ) as answer:
            if answer.status_code == _BEYOND_THE_END:
                return b""
            hf_raise_for_status(answer)
            obeyed = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if not (answer.status_code == _PART and obeyed) and not (answer.status_code == _WHOLE and start == 0):
                raise UnreadableError("The Hub does not give parts of it.")
            return _first(answer.iter_raw(), stop - start)


@dataclass(frozen=True)
class OnDisk:
    """A folder on this disk; what links lead to outside of it is none of its files.

    Attributes:
        directory: The folder.
    """

    directory: Path

    @property
    def name(self) -> str | None:
        """See `Place`; files on a disk change."""
        return None

    def read(self, file: str, start: int, stop: int) -> bytes:
        """See `Place`."""
        try:
            path = (self.directory / file).resolve()
            if not path.is_relative_to(self.directory.resolve()):
                raise UnreadableError("It lies outside of the folder.")
            if not path.exists():
                raise AbsentError("It is not there.")
            if not path.is_file():
                raise UnreadableError("It is not a file.")
            with path.open("rb") as stream:
                stream.seek(start)
                return stream.read(max(0, stop - start))
        except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a name that can be none
            raise UnreadableError(f"It cannot be read: {one_line(str(error))}") from error


def _first(pieces: Iterable[bytes], count: int) -> bytes:
    """The first `count` bytes of `pieces`; the rest, if any, is not asked for."""
    found = bytearray()
    deadline = time.monotonic() + LONGEST_READ_SECONDS
    for piece in pieces:
        found += piece
        if len(found) >= count:
            break
        if time.monotonic() > deadline:
            raise UnreadableError(f"The Hub took more than {LONGEST_READ_SECONDS:.0f} s for a part of it.")
    return bytes(found[:count])


def _kind_of(error: SpacerunError) -> type[UnreadableError]:
    """Whether it is about one file, or all of the place."""
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    cause = error.__cause__
    if isinstance(cause, EntryNotFoundError):
        return AbsentError
    if isinstance(error, NotFoundError) or not isinstance(cause, HfHubHTTPError):
        return ClosedError
    status = cause.response.status_code
    return ClosedError if status == _TOO_MANY or status >= _SERVER_ERROR else UnreadableError


def _is_timeout(error: Exception) -> bool:
    return any(kind.__name__ == "TimeoutException" for kind in type(error).__mro__)
