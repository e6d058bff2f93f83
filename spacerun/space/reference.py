"""Every way a user can name a Space, parsed without touching the network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from spacerun.errors import UsageError
from spacerun.text import one_line

# huggingface_hub.utils.validate_repo_id: letters, digits, "-", "_", "."; no leading or trailing "-" or ".".
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
# git check-ref-format(1), and no leading "-": a revision must never be read as an option.
_REVISION = re.compile(r"(?!-)(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]{1,255}(?<![./])")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PUBLIC_HUB = "huggingface.co"
_FORMS = "owner/name, owner/name@REVISION, https://huggingface.co/spaces/owner/name, or a folder such as ./my-space"


@dataclass(frozen=True)
class SpaceRef:
    """A Space on the Hub. `revision` is a branch, tag, commit or `refs/pr/N`; None is the default branch."""

    owner: str
    name: str
    revision: str | None = None

    @property
    def id(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True)
class SubdomainRef:
    """A Space named by its `https://owner-name.hf.space` address; the Hub knows which it is."""

    subdomain: str


@dataclass(frozen=True)
class LocalRef:
    """A folder on this machine, taken as it is now."""

    directory: Path


Reference = SpaceRef | SubdomainRef | LocalRef


def parse(text: str, *, endpoint: str = f"https://{_PUBLIC_HUB}") -> Reference:
    """Parse what the user typed for SPACE.

    Args:
        text: The argument.
        endpoint: Address of the Hub in use (`HF_ENDPOINT`).

    Raises:
        UsageError: It is none of the forms; the message names the nearest valid one.
    """
    if not text.strip() or "\x00" in text:
        raise UsageError("SPACE is empty.", hint=f"Give {_FORMS}.")
    if text.startswith("hf://"):
        return _parse_hf_uri(text)
    if text.lower().startswith(("http://", "https://")):
        return _parse_url(text, endpoint)
    if text in {".", "..", "~"} or text.startswith(("./", "../", "/", "~/")):
        return LocalRef(Path(os.path.abspath(Path(text).expanduser())))  # noqa: PTH100 - symlinks are kept as typed
    path, at, revision = text.partition("@")
    owner, slash, name = path.partition("/")
    if not slash or "/" in name:
        raise _invalid(text)
    return _space(owner, name, revision if at else None, text)


def is_valid_name(part: str) -> bool:
    """Whether `part` can be the owner or the name of a repository on the Hub; such a text is safe in a path."""
    return bool(_NAME.fullmatch(part)) and "--" not in part and ".." not in part and not part.endswith(".git")


def _parse_hf_uri(text: str) -> SpaceRef:
    """`hf://spaces/owner/name[@REVISION]`, as huggingface_hub's file system writes it."""
    path = text.removeprefix("hf://")
    if not path.startswith("spaces/"):
        raise _invalid(text)
    owner, _, rest = path.removeprefix("spaces/").partition("/")
    name, at, revision = rest.partition("@")
    return _space(owner, name.rstrip("/"), unquote(revision) if at else None, text)


def _parse_url(text: str, endpoint: str) -> Reference:
    url, hub = urlsplit(text), urlsplit(endpoint)
    host = (url.hostname or "").lower()
    if host.endswith(".hf.space"):
        subdomain = host.removesuffix(".hf.space")
        # A static Space's files come from `<subdomain>.static.hf.space`.
        subdomain = subdomain.removesuffix(".static")
        if not _SUBDOMAIN.fullmatch(subdomain):
            raise _invalid(text)
        return SubdomainRef(subdomain)
    address = url.path
    if url.netloc == hub.netloc:
        address = address.removeprefix(hub.path.rstrip("/"))
    elif host not in {_PUBLIC_HUB, f"www.{_PUBLIC_HUB}", "hf.co"}:
        raise UsageError(
            f"{one_line(host or text)} is not the Hub in use ({hub.netloc}).",
            hint=f"Give {_FORMS}, or set HF_ENDPOINT.",
        )
    segments = [part for part in address.split("/") if part]
    if segments[:1] != ["spaces"] or len(segments) < 3:  # noqa: PLR2004
        raise _invalid(text)
    owner, name, *rest = segments[1:]
    name = name.removesuffix(".git")
    if not rest:
        return _space(owner, name, None, text)
    if rest[0] in {"tree", "blob"} and len(rest) > 1:
        # The Hub writes refs/pr/N as one escaped part; a branch is the first part, what follows is a folder.
        whole_ref = rest[1:] if rest[1] == "refs" else rest[1:2]
        return _space(owner, name, unquote("/".join(whole_ref[:3])), text)
    raise _invalid(text)


def _space(owner: str, name: str, revision: str | None, text: str) -> SpaceRef:
    if not is_valid_name(owner) or not is_valid_name(name):
        raise _invalid(text)
    if revision is not None and not _REVISION.fullmatch(revision):
        raise UsageError(
            f"{one_line(revision)!r} is not a revision of {owner}/{name}.",
            hint=f"Give a branch, tag, commit or refs/pr/N: {owner}/{name}@main",
        )
    return SpaceRef(owner, name, revision)


def _invalid(text: str) -> UsageError:
    return UsageError(
        f"{one_line(text)!r} does not name a Space.",
        hint=f"Did you mean `{one_line(_nearest(text))}`? A Space is given as {_FORMS}.",
    )


def _nearest(text: str) -> str:
    """The valid form that is most like `text`."""
    if Path(text).is_dir():
        return f"./{text}"
    if text.startswith("file:"):
        return unquote(urlsplit(text).path) or "./my-space"
    # Without scheme and user: `ssh://git@hf.co/spaces/owner/name`, `git@hf.co:spaces/owner/name`.
    address, _, revision = re.sub(r"^(?:\w+://)?(?:git@)?", "", one_line(text)).partition("@")
    words = [word for word in re.split(r"[/:]", address) if word]
    subdomain = words[0].lower().removesuffix(".hf.space") if words else ""
    if words and words[0].lower() != subdomain and _SUBDOMAIN.fullmatch(subdomain):
        return f"https://{subdomain}.hf.space"
    if len(words) > 2 and ("." in words[0] or words[0] == "localhost"):  # noqa: PLR2004 - a host, owner and name
        words = words[1:]
    if len(words) > 2 and words[0] in {"spaces", "models", "datasets"}:  # noqa: PLR2004
        words = words[1:]
    names = [_nearest_name(word) for word in words[:2]]
    nearest = "/".join([*["owner", "name"][: 2 - len(names)], *names])
    return f"{nearest}@{revision}" if len(names) > 1 and _REVISION.fullmatch(revision) else nearest


def _nearest_name(word: str) -> str:
    name = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "-", word)))
    name = name.removesuffix(".git").strip("-.")[:96].strip("-.")
    return name or "name"
