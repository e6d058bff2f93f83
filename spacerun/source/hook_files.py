"""The start-up hook of one app: put in place, and what it reported."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun.paths import read_json, write_atomic, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOOK = Path(__file__).parent / "hook"
_LAUNCH = "launch.json"
_MODELS = ("models.json", "spacerun_models.py")
_REPORT = "launched.jsonl"
# The app can write into its report: read no more of it than a real one could fill, in bytes.
_REPORT_LIMIT = 1 << 20


@dataclass(frozen=True)
class FetchedModel:
    """A model to fetch; `revision` where the code asks for none in particular, None for the newest."""

    id: str
    revision: str | None = None


@dataclass(frozen=True)
class HookSettings:
    """What every `launch` of an app gets, whatever its code says.

    Attributes:
        share: Whether to ask for a share link; None leaves it to the code.
        host: Address in place of any `server_name` that the code gives; None leaves it.
        port: Port in place of any `server_port` that the code gives; None leaves it.
        spare: Port in place of a `server_port` in the code that something else listens on.
        models: Models to fetch in place of those that the code names, and in which revision.
        auth: Name and hash of the password that every launch asks for (`user`, `salt`, `digest`, `rounds`); None
            leaves it to the code.
    """

    share: bool | None
    host: str | None
    port: int | None = None
    spare: int | None = None
    models: Mapping[str, FetchedModel] = field(default_factory=dict)
    auth: Mapping[str, str | int] | None = None


@dataclass(frozen=True)
class Launched:
    """One launch that the hook saw. All of it was written by the app's process: not to be trusted, only shown.

    Attributes:
        local_url: Where Gradio says that it listens.
        share_url: The share link; None if there is none.
        share: The `share` that Gradio got.
        changed: The arguments that the hook changed or added.
        file: The file that called `launch`.
        line: The line in it.
        pid: The process.
    """

    local_url: str
    share_url: str | None
    share: bool | None
    changed: tuple[str, ...]
    file: str
    line: int
    pid: int

    def to_json(self) -> dict[str, Any]:
        """Where it was, and what of it the hook decided; the rest came from the code, or from the edit in it."""
        return {"file": self.file, "line": self.line, "share": self.share, "by_hook": list(self.changed)}


def install_hook(folder: Path, settings: HookSettings) -> Path:
    """Write the hook and its settings into `folder`, and forget earlier reports.

    Returns:
        What to put first on the app's `PYTHONPATH`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    forget_launched(folder)
    launch = asdict(settings)
    models = launch.pop("models")
    write_json(folder / _LAUNCH, launch, mode=0o600)
    for name in _MODELS:
        (folder / name).unlink(missing_ok=True)
    if models:
        write_json(folder / "models.json", models)
        write_atomic(folder / "spacerun_models.py", (_HOOK / "spacerun_models.py").read_bytes())
    write_atomic(folder / "sitecustomize.py", (_HOOK / "sitecustomize.py").read_bytes())
    return folder.absolute()


def forget_launched(folder: Path) -> None:
    """Forget what the hook in `folder` reported in an earlier life of the app."""
    (folder / _REPORT).unlink(missing_ok=True)


def forbid_share(folder: Path) -> None:
    """From the next start on, let every launch of the app with the hook in `folder` be without a share link."""
    write_json(folder / _LAUNCH, {**(read_json(folder / _LAUNCH) or {}), "share": False}, mode=0o600)


def read_launched(folder: Path) -> tuple[Launched, ...]:
    """The launches reported so far by the hook in `folder`, oldest first; lines that are none are left out."""
    return tuple(launched for line in _report(folder) if (launched := _parse(line)) is not None)


def has_launched(folder: Path) -> bool:
    """Whether, as the hook in `folder` reported, Gradio's `launch` was called, be it at work or done."""
    return any(b'"launching"' in line or _parse(line) for line in _report(folder))


def _report(folder: Path) -> list[bytes]:
    try:
        with (folder / _REPORT).open("rb") as stream:
            return stream.read(_REPORT_LIMIT).splitlines()
    except OSError:
        return []


def _parse(line: bytes) -> Launched | None:
    try:
        match json.loads(line):
            case {"local_url": str(local), "file": str(file), "line": int(number), "pid": int(pid), **rest}:
                share, share_url, changed = rest.get("share"), rest.get("share_url"), rest.get("changed")
                return Launched(
                    local_url=local,
                    share_url=share_url if isinstance(share_url, str) else None,
                    share=share if isinstance(share, bool) else None,
                    changed=tuple(map(str, changed)) if isinstance(changed, list) else (),
                    file=file,
                    line=number,
                    pid=pid,
                )
    except (ValueError, RecursionError):
        pass
    return None
