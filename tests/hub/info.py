"""What the Hub says about a repository: read from its files, as the Hub does."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any

import yaml

from tests.hub.registry import subdomain
from tests.hub.wire import HubError

if TYPE_CHECKING:
    from tests.hub.lfs import Cdn
    from tests.hub.repository import Entry, Repo


def repo_info(repo: Repo, commit: str, cdn: Cdn, *, blobs: bool) -> dict[str, Any]:
    """The document behind `model_info`, `dataset_info` and `space_info`; `blobs` adds sizes and hashes."""
    log = repo.log(commit)
    card = read_card(repo, commit)
    info: dict[str, Any] = {
        "_id": hashlib.sha256(f"{repo.kind}/{repo.path}".encode()).hexdigest()[:24],
        "id": repo.id,
        "author": repo.id.split("/")[0],
        "sha": commit,
        "lastModified": log[0].date,
        "createdAt": log[-1].date,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "likes": 0,
        "tags": [*card.get("tags", []), "region:us"],
        "cardData": card,
        "siblings": [_sibling(entry, blobs=blobs) for entry in repo.tree(commit) if entry.type == "file"],
    }
    if repo.kind == "space":
        info |= {
            "sdk": card.get("sdk"),
            "subdomain": subdomain(repo.id),
            "host": f"https://{subdomain(repo.id)}.hf.space",
            "models": card.get("models", []),
            "datasets": card.get("datasets", []),
            "runtime": runtime(repo, commit),
        }
    elif repo.kind == "model":
        info |= {"downloads": 0, **_model_facts(repo, commit, card, cdn)}
    return info | repo.info


def runtime(repo: Repo, commit: str) -> dict[str, Any]:
    """The state of a Space on the Hub."""
    default: dict[str, Any] = {
        "stage": "RUNNING",
        "hardware": {"current": "cpu-basic", "requested": "cpu-basic"},
        "storage": None,
        "gcTimeout": 172800,
        "replicas": {"current": 1, "requested": 1},
        "devMode": False,
        "domains": [{"domain": f"{subdomain(repo.id)}.hf.space", "stage": "READY"}],
        "sha": commit,
    }
    return {**default, **repo.info.get("runtime", {})}


def read_card(repo: Repo, commit: str) -> dict[str, Any]:
    """The front matter of README.md; empty if there is none or it is no mapping."""
    text = (repo.read(commit, "README.md") or b"").decode(errors="replace")
    parts = text.split("---", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        card = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}


def safetensors_headers(repo: Repo, commit: str, index: str, cdn: Cdn) -> dict[str, Any]:
    """The index of a sharded checkpoint and the header of each shard.

    Raises:
        HubError: 404; there is no such index.
    """
    content = repo.read(commit, index)
    if content is None:
        raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit})
    document = json.loads(content)
    shards = sorted(set(document.pop("weight_map").values()))
    return {"index": document, "headers": {shard: _header(repo, commit, shard, cdn) for shard in shards}}


def _model_facts(repo: Repo, commit: str, card: dict[str, Any], cdn: Cdn) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in ("library_name", "pipeline_tag"):
        if name in card:
            facts[name] = card[name]
    if config := repo.read(commit, "config.json"):
        known = json.loads(config)
        names = ("architectures", "model_type", "quantization_config")
        facts["config"] = {name: known[name] for name in names if name in known}
        facts.setdefault("library_name", "transformers")
    paths = {entry.path for entry in repo.tree(commit)}
    if "model.safetensors" in paths:
        headers = [_header(repo, commit, "model.safetensors", cdn)]
    elif "model.safetensors.index.json" in paths:
        found = safetensors_headers(repo, commit, "model.safetensors.index.json", cdn)
        headers = list(found["headers"].values())
    else:
        return facts
    counts: Counter[str] = Counter()
    for header in headers:
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[tensor["dtype"]] += math.prod(tensor["shape"])
    facts["safetensors"] = {"parameters": dict(counts), "total": counts.total()}
    return facts


def _header(repo: Repo, commit: str, path: str, cdn: Cdn) -> dict[str, Any]:
    """The JSON header of a safetensors file; empty if the file is not one."""
    entry = next((entry for entry in repo.tree(commit) if entry.path == path), None)
    if entry is None:
        return {}
    try:
        if entry.lfs is None:
            content = repo.blob(entry.oid)
        else:
            with cdn.objects.path(entry.lfs.oid).open("rb") as stream:
                content = stream.read(8)
                content += stream.read(struct.unpack("<Q", content)[0])
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + size])
    except (OSError, OverflowError, ValueError, struct.error):
        return {}
    return header if isinstance(header, dict) else {}


def _sibling(entry: Entry, *, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": entry.path}
    if blobs:
        sibling |= {"blobId": entry.oid, "size": entry.size}
        if entry.lfs:
            lfs = entry.lfs
            sibling["lfs"] = {"sha256": lfs.oid, "size": lfs.size, "pointerSize": lfs.pointer_size}
    return sibling
