"""The loopback Hub judged by stock tools: git, git-lfs, `hf` and huggingface_hub; spacerun is not imported here."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    NotASafetensorsRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub import (
    Bandwidth,
    Corrupt,
    Cut,
    Executable,
    Gitlink,
    Html,
    Hub,
    Latency,
    MissingObject,
    RefuseSha,
    Status,
    Symlink,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

WEIGHTS = bytes(range(256)) * 8192  # 2 MiB
CARD = "---\ntitle: Hello\nsdk: gradio\nsdk_version: 6.31.0\nmodels:\n- owner/tiny\n---\n# Hello\n"
APP = b"print('hello')\n"
FILES: dict[str, str | bytes] = {"README.md": CARD, "app.py": APP, "models/weights.bin": WEIGHTS}
OWNER = "hf_owneroftheSpaces"
STRANGER = "hf_somebodyelse"
CDN = "localhost"


class Stock:
    """Git and `hf` as a user has them, with a home folder of their own."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "HF_HOME": str(home / "huggingface"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        self.git("lfs", "install", "--skip-repo")

    def run(self, *command: str | Path, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env={**self.environment, **variables}, capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def git(self, *arguments: str | Path, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("git", *arguments, check=check, **variables)

    def fetch(self, hub: Hub, folder: Path, *refs: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """What a shallow fetch of one revision of `owner/hello` takes."""
        if not folder.exists():
            self.git("init", "--quiet", folder)
        return self.git("-C", folder, "fetch", "--depth", "1", hub.url("owner/hello"), *refs, check=check)


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    return Stock(tmp_path / "home")


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=False)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a checkout or a download, without what the tools keep for themselves."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {".git", ".cache", ".gitattributes"} & set(path.relative_to(folder).parts)
    }


def published(files: Mapping[str, str | bytes] = FILES) -> dict[str, bytes]:
    return {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}


def safetensors(*, padding: int = 0, **shapes: list[int]) -> bytes:
    """A safetensors file of zeros in F16, its header filled up by `padding` bytes of metadata."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "padding": "x" * padding}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(end)


def get(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


# -- git and git-lfs -------------------------------------------------------------------------------------------------


def test_clone_and_lfs_pull_give_the_published_bytes(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", {**FILES, "run.sh": Executable(b"#!/bin/sh\n"), "link": Symlink("app.py")})
    clone = tmp_path / "clone"
    stock.git("clone", hub.url("owner/hello"), clone, GIT_LFS_SKIP_SMUDGE="1")
    assert (clone / "models/weights.bin").read_bytes().startswith(b"version https://git-lfs.github.com/spec/v1\n")
    assert hub.bytes_sent("cdn") == 0
    stock.git("-C", clone, "lfs", "pull")
    assert contents(clone) == {**published(), "run.sh": b"#!/bin/sh\n", "link": APP}
    assert os.access(clone / "run.sh", os.X_OK)
    assert (clone / "link").is_symlink()
    assert stock.git("-C", clone, "status", "--porcelain").stdout == ""
    assert [request.host for request in hub.requests if request.kind == "cdn"] == [CDN]
    assert hub.bytes_sent("cdn") == len(WEIGHTS)


@pytest.mark.parametrize("kind", ["space", "model", "dataset"])
@pytest.mark.parametrize("suffix", ["", ".git"])
def test_every_kind_is_cloned_with_and_without_git_suffix(
    hub: Hub, stock: Stock, tmp_path: Path, kind: Any, suffix: str
) -> None:
    hub.publish("owner/hello", FILES, kind=kind)
    stock.git("clone", hub.url("owner/hello", kind) + suffix, tmp_path / "clone")
    assert contents(tmp_path / "clone") == published()


def test_any_commit_is_fetched_by_its_id_at_depth_one(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    first = hub.publish("owner/hello", {"app.py": "1"})
    second = hub.publish("owner/hello", {"app.py": "2"})
    hub.publish("owner/hello", {"app.py": "3"})
    proposed = hub.pull_request("owner/hello", 1, {"app.py": "4"})
    for sha, text in ((first, "1"), (second, "2"), (proposed, "4")):
        stock.fetch(hub, tmp_path / "clone", sha)
        assert stock.git("-C", tmp_path / "clone", "show", "FETCH_HEAD:app.py").stdout == text
        assert stock.git("-C", tmp_path / "clone", "rev-list", "FETCH_HEAD").stdout.split() == [sha]


def test_a_server_that_refuses_ids_still_gives_refs(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    old = hub.publish("owner/hello", {"app.py": "1"})
    hub.publish("owner/hello", {"app.py": "2"})
    rule = hub.faults.add(RefuseSha())
    refused = stock.fetch(hub, tmp_path / "clone", old, check=False)
    assert refused.returncode != 0
    assert "unadvertised object" in refused.stderr
    stock.fetch(hub, tmp_path / "clone", "refs/heads/main")
    assert rule.hits >= 2


def test_branches_tags_and_pull_requests_are_fetched_by_name(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", {"app.py": "main"})
    hub.tag("owner/hello", "v1")
    hub.publish("owner/hello", {"app.py": "dev"}, branch="dev")
    hub.pull_request("owner/hello", 7, {"app.py": "pr"})
    for ref, text in (("main", "main"), ("refs/tags/v1", "main"), ("dev", "dev"), ("refs/pr/7", "pr")):
        stock.fetch(hub, tmp_path / "clone", ref)
        assert stock.git("-C", tmp_path / "clone", "show", "FETCH_HEAD:app.py").stdout == text


def test_a_commit_changes_only_what_is_given(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", {**FILES, "old.txt": "x"})
    hub.publish("owner/hello", {"app.py": b"print(2)\n", "old.txt": None})
    stock.git("clone", hub.url("owner/hello"), tmp_path / "clone")
    assert contents(tmp_path / "clone") == {**published(), "app.py": b"print(2)\n"}


def test_a_folder_is_published_as_it_is(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "ünï code").mkdir(parents=True)
    (source / "ünï code" / 'a "b".py').write_bytes(APP)
    (source / "weights.safetensors").write_bytes(WEIGHTS)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.pyc").write_bytes(b"x")
    hub.publish("owner/hello", source)
    stock.git("clone", hub.url("owner/hello"), tmp_path / "clone")
    assert contents(tmp_path / "clone") == {'ünï code/a "b".py': APP, "weights.safetensors": WEIGHTS}


def test_submodules_are_cloned_from_the_same_endpoint(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    part = hub.publish("owner/part", {"part.py": "1"})
    modules = f'[submodule "part"]\n\tpath = part\n\turl = {hub.url("owner/part")}\n'
    hub.publish("owner/hello", {"app.py": APP, ".gitmodules": modules, "part": Gitlink(part)})
    stock.git("clone", "--recurse-submodules", hub.url("owner/hello"), tmp_path / "clone")
    assert (tmp_path / "clone/part/part.py").read_text() == "1"


def test_commit_ids_are_the_same_in_every_hub(tmp_path: Path) -> None:
    one, two = (Hub(tmp_path / name).publish("owner/hello", FILES) for name in ("one", "two"))
    assert one == two


def test_publishing_keeps_out_of_the_repository_that_git_variables_name(
    hub: Hub, stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    stock.git("init", "--quiet", other)
    (other / "dirty.txt").write_text("mine")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    hub.publish("owner/hello", FILES)
    stock.git("clone", hub.url("owner/hello"), tmp_path / "clone")
    assert {path: path.read_bytes() for path in other.rglob("*") if path.is_file()} == before


# -- huggingface_hub -------------------------------------------------------------------------------------------------


def test_hf_download_gives_the_published_bytes(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    hub.pull_request("owner/hello", 1, {"app.py": "print('proposed')\n"})
    hf = Path(sys.executable).with_name("hf")
    for revision, app in (("main", APP), ("refs/pr/1", b"print('proposed')\n")):
        target = tmp_path / revision.replace("/", "-")
        options = ("--repo-type", "space", "--revision", revision, "--local-dir", target)
        stock.run(hf, "download", "owner/hello", *options, HF_ENDPOINT=hub.endpoint)
        assert contents(target) == {**published(), "app.py": app}


def test_space_info_tells_what_the_repository_holds(hub: Hub, api: HfApi) -> None:
    hub.publish("Owner/He.llo_1", {"app.py": APP})
    sha = hub.publish("Owner/He.llo_1", FILES)
    info = api.space_info("Owner/He.llo_1", files_metadata=True)
    assert (info.id, info.author, info.sha, info.sdk) == ("Owner/He.llo_1", "Owner", sha, "gradio")
    assert (info.subdomain, info.host) == ("owner-he-llo-1", "https://owner-he-llo-1.hf.space")
    assert (info.private, info.gated, info.models) == (False, False, ["owner/tiny"])
    assert info.card_data is not None
    assert info.card_data.sdk_version == "6.31.0"
    assert info.last_modified is not None
    assert info.created_at is not None
    assert info.last_modified > info.created_at
    files = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    assert set(files) == {*FILES, ".gitattributes"}
    assert files["app.py"].size == len(APP)
    weights = files["models/weights.bin"]
    assert weights.size == len(WEIGHTS)
    assert weights.lfs is not None
    assert weights.lfs.size == len(WEIGHTS)
    assert len(weights.lfs.sha256) == 64
    assert 120 < weights.lfs.pointer_size < 150
    assert (api.space_info("Owner/He.llo_1", expand=["sdk", "sha"]).sha, info.runtime and info.runtime.stage) == (
        sha,
        "RUNNING",
    )
    assert api.space_info("Owner/He.llo_1", expand=["sdk"]).siblings is None


def test_revisions_are_branches_tags_commits_and_pull_requests(hub: Hub, api: HfApi) -> None:
    first = hub.publish("owner/hello", FILES)
    hub.tag("owner/hello", "v1")
    dev = hub.publish("owner/hello", {"app.py": "dev"}, branch="dev/x")
    main = hub.publish("owner/hello", {"app.py": "main"})
    proposed = hub.pull_request("owner/hello", 3, {"app.py": "pr"})
    expected = {None: main, "main": main, "v1": first, "dev/x": dev, first: first, "refs/pr/3": proposed}
    found = {revision: api.space_info("owner/hello", revision=revision).sha for revision in expected}
    assert found == expected
    refs = api.list_repo_refs("owner/hello", repo_type="space", include_pull_requests=True)
    assert {branch.name: branch.target_commit for branch in refs.branches} == {"main": main, "dev/x": dev}
    assert {tag.name: tag.target_commit for tag in refs.tags} == {"v1": first}
    assert [request.ref for request in refs.pull_requests or ()] == ["refs/pr/3"]
    assert [commit.commit_id for commit in api.list_repo_commits("owner/hello", repo_type="space")] == [main, first]


def test_tree_comes_in_pages_with_the_last_commit_of_each_file(hub: Hub, api: HfApi) -> None:
    many = {f"data/{number:03}.txt": str(number) for number in range(120)}
    first = hub.publish("owner/hello", many)
    second = hub.publish("owner/hello", {"data/007.txt": "changed"}, message="Change 7")
    hub.clear_requests()
    tree = list(api.list_repo_tree("owner/hello", repo_type="space", recursive=True, expand=True))
    assert len(hub.requests) == 3
    last = {item.path: item.last_commit for item in tree}
    assert set(last) == {*many, "data", ".gitattributes"}
    assert last["data/007.txt"] is not None
    assert (last["data/007.txt"].oid, last["data/007.txt"].title) == (second, "Change 7")
    assert {name for name, commit in last.items() if commit and commit.oid == first} == set(last) - {
        "data/007.txt",
        "data",
    }
    flat = list(api.list_repo_tree("owner/hello", repo_type="space"))
    assert sorted(item.path for item in flat) == [".gitattributes", "data"]
    inside = list(api.list_repo_tree("owner/hello", "data", repo_type="space"))
    assert [item.path for item in inside] == sorted(many)


def test_paths_info_and_runtime(hub: Hub, api: HfApi) -> None:
    hub.publish("owner/hello", FILES)
    found = api.get_paths_info("owner/hello", ["models/weights.bin", "models", "absent"], repo_type="space")
    assert [item.path for item in found] == ["models", "models/weights.bin"]
    hub.set_info("owner/hello", runtime={"stage": "PAUSED", "hardware": {"current": None, "requested": "t4-medium"}})
    runtime = api.get_space_runtime("owner/hello")
    assert (runtime.stage, runtime.requested_hardware) == ("PAUSED", "t4-medium")


@pytest.mark.parametrize("padding", [0, 150_000], ids=["header-in-first-read", "header-in-second-read"])
def test_get_safetensors_metadata_reads_the_header_only(hub: Hub, api: HfApi, padding: int) -> None:
    content = safetensors(weight=[1024, 512], bias=[512], padding=padding)
    hub.publish("owner/tiny", {"model.safetensors": content}, kind="model")
    metadata = api.get_safetensors_metadata("owner/tiny")
    assert metadata.parameter_count == {"F16": 1024 * 512 + 512}
    assert hub.bytes_sent("cdn") < len(content) / 2
    assert {request.status for request in hub.requests if request.kind == "cdn"} == {206}


def test_sharded_checkpoints_are_counted(hub: Hub, api: HfApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    shards = {"a-1.safetensors": safetensors(a=[10, 10]), "a-2.safetensors": safetensors(b=[5])}
    index = {"metadata": {}, "weight_map": {"a": "a-1.safetensors", "b": "a-2.safetensors"}}
    hub.publish(
        "owner/tiny",
        {
            **shards,
            "model.safetensors.index.json": json.dumps(index),
            "config.json": json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "other": 1}),
        },
        kind="model",
    )
    assert api.get_safetensors_metadata("owner/tiny").parameter_count == {"F16": 105}
    info = api.model_info("owner/tiny", expand=["safetensors", "config"])
    assert info.safetensors is not None
    assert (dict(info.safetensors.parameters), info.safetensors.total) == ({"F16": 105}, 105)
    assert info.config == {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    hub.publish("owner/other", {"model.bin": WEIGHTS}, kind="model")
    with pytest.raises(NotASafetensorsRepoError):
        api.get_safetensors_metadata("owner/other")


def test_a_space_is_found_by_its_subdomain(hub: Hub) -> None:
    hub.publish("Owner/He_llo", FILES)
    status, body = get(f"{hub.endpoint}/api/spaces/by-subdomain/owner-he-llo")
    assert (status, json.loads(body)["id"]) == (200, "Owner/He_llo")
    assert get(f"{hub.endpoint}/api/spaces/by-subdomain/nobody-nothing")[0] == 401


def test_raw_gives_the_pointer_and_resolve_a_range_of_the_content(hub: Hub) -> None:
    hub.publish("owner/hello", FILES)
    page = hub.url("owner/hello")
    assert get(f"{page}/raw/main/models/weights.bin")[1].startswith(b"version https://git-lfs")
    assert get(f"{page}/resolve/main/models/weights.bin", Range="bytes=10-19") == (206, WEIGHTS[10:20])
    assert get(f"{page}/resolve/main/app.py", Range="bytes=-3") == (206, APP[-3:])
    assert get(f"{page}/resolve/main/app.py", Range="bytes=999-")[0] == 416


# -- who may read what -----------------------------------------------------------------------------------------------


def test_missing_things_are_told_apart_as_on_the_hub(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    hub.add_token(STRANGER, "stranger")
    with pytest.raises(RepositoryNotFoundError) as missing:
        api.space_info("owner/absent")
    assert missing.value.response.status_code == 401
    with pytest.raises(RepositoryNotFoundError) as missing:
        api.space_info("owner/absent", token=STRANGER)
    assert missing.value.response.status_code == 404
    with pytest.raises(RevisionNotFoundError):
        api.space_info("owner/hello", revision="v9")
    with pytest.raises(RevisionNotFoundError):
        api.space_info("owner/hello", revision="0" * 40)
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(
            "owner/hello", "absent.py", repo_type="space", endpoint=hub.endpoint, cache_dir=tmp_path, token=False
        )
    with pytest.raises(HfHubHTTPError, match="Invalid credentials") as refused:
        api.space_info("owner/hello", token="hf_unknown")
    assert refused.value.response.status_code == 401
    assert not isinstance(refused.value, RepositoryNotFoundError)


def test_a_private_space_is_for_its_owner(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES, private=True)
    hub.add_token(OWNER, "owner")
    hub.add_token(STRANGER, "stranger")
    with pytest.raises(RepositoryNotFoundError) as hidden:
        api.space_info("owner/hello")
    assert hidden.value.response.status_code == 401
    with pytest.raises(RepositoryNotFoundError) as hidden:
        api.space_info("owner/hello", token=STRANGER)
    assert hidden.value.response.status_code == 404
    assert api.space_info("owner/hello", token=OWNER).private is True
    assert api.whoami(token=OWNER)["name"] == "owner"
    hub.clear_requests()
    folder = snapshot_download(
        "owner/hello", repo_type="space", endpoint=hub.endpoint, cache_dir=tmp_path / "cache", token=OWNER
    )
    assert contents(Path(folder)) == published()
    assert {r.authorization for r in hub.requests if r.kind != "cdn"} == {f"Bearer {OWNER}"}
    assert {r.authorization for r in hub.requests if r.kind == "cdn"} == {None}


def test_a_token_scoped_to_the_endpoint_never_reaches_the_cdn(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES, private=True)
    hub.add_token(OWNER, "owner")
    refused = stock.git("clone", hub.url("owner/hello"), tmp_path / "refused", check=False)
    assert refused.returncode != 0
    assert "could not read Username" in refused.stderr
    hub.clear_requests()
    scoped: dict[str, Any] = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{hub.endpoint}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Bearer {OWNER}",
    }
    stock.git("clone", hub.url("owner/hello"), tmp_path / "clone", **scoped)
    assert contents(tmp_path / "clone") == published()
    assert all(request.has_authorization is (request.kind != "cdn") for request in hub.requests)
    assert {"git", "lfs", "cdn"} == {request.kind for request in hub.requests}


def test_an_unscoped_token_is_seen_and_refused_by_the_cdn(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    hub.add_token(OWNER, "owner")
    unscoped = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Bearer {OWNER}",
        "GIT_CONFIG_KEY_1": "lfs.transfer.maxretries",  # its eight tries, each later than the last, take a minute
        "GIT_CONFIG_VALUE_1": "1",
    }
    assert stock.git("clone", hub.url("owner/hello"), tmp_path / "clone", check=False, **unscoped).returncode != 0
    assert {(r.has_authorization, r.status) for r in hub.requests if r.kind == "cdn"} == {(True, 400)}


def test_a_token_as_password_opens_git_and_lfs(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES, private=True)
    hub.add_token(OWNER, "owner")
    address = hub.url("owner/hello").replace("http://", f"http://anybody:{OWNER}@")
    stock.git("clone", address, tmp_path / "clone")
    assert contents(tmp_path / "clone") == published()
    wrong = address.replace(OWNER, "hf_unknown")
    assert stock.git("clone", wrong, tmp_path / "wrong", check=False).returncode != 0


def test_a_gated_model_is_listed_for_all_and_read_by_those_let_in(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    hub.publish("owner/tiny", {"config.json": "{}"}, kind="model", gated=True, readers=["friend"])
    hub.add_token(STRANGER, "stranger")
    hub.add_token("hf_friend", "friend")
    assert api.model_info("owner/tiny").gated == "manual"

    def download(token: str | bool) -> str:
        return hf_hub_download("owner/tiny", "config.json", endpoint=hub.endpoint, cache_dir=tmp_path, token=token)

    for token, status in ((False, 401), (STRANGER, 403)):
        with pytest.raises(GatedRepoError) as gated:
            download(token)
        assert gated.value.response.status_code == status
    assert Path(download("hf_friend")).read_text() == "{}"


def test_a_renamed_space_is_followed_by_every_tool(hub: Hub, stock: Stock, api: HfApi, tmp_path: Path) -> None:
    hub.publish("owner/old", FILES)
    hub.rename("owner/old", "owner/newer")
    hub.rename("owner/newer", "other/new")
    assert api.space_info("owner/old", revision="main").id == "other/new"
    stock.git("clone", hub.url("owner/old"), tmp_path / "clone")
    assert contents(tmp_path / "clone") == published()
    download = hf_hub_download(
        "owner/newer", "models/weights.bin", repo_type="space", endpoint=hub.endpoint, cache_dir=tmp_path, token=False
    )
    assert Path(download).read_bytes() == WEIGHTS
    assert {301, 307} <= {request.status for request in hub.requests}
    hub.publish("other/new", {}, private=True)
    with pytest.raises(RepositoryNotFoundError):
        api.space_info("owner/old")
    reused = hub.publish("owner/old", {"app.py": "another"})
    assert api.space_info("owner/old").sha == reused
    assert len(api.list_repo_commits("owner/old", repo_type="space")) == 1
    hub.delete("owner/old")
    with pytest.raises(RepositoryNotFoundError):
        api.space_info("owner/old")


def test_signed_addresses_cannot_be_forged_and_expire(hub: Hub) -> None:
    hub.publish("owner/hello", FILES)
    oid = next(iter(hub.repo("owner/hello").lfs_objects))
    address = hub.cdn.address(oid)
    assert get(address) == (200, WEIGHTS)
    assert get(address, Authorization="Bearer x")[0] == 400
    assert get(address.partition("?")[0])[0] == 403
    assert get(address.replace("Signature=", "Signature=0"))[0] == 403
    hub.cdn.lifetime = -1
    assert get(hub.cdn.address(oid))[0] == 403


# -- faults ----------------------------------------------------------------------------------------------------------


def test_too_many_requests_is_waited_for(hub: Hub, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    rule = hub.faults.add(Status(429, retry_after=1), method="GET", path="*/app.py", times=1)
    began = time.monotonic()
    path = hf_hub_download(
        "owner/hello", "app.py", repo_type="space", endpoint=hub.endpoint, cache_dir=tmp_path, token=False
    )
    assert Path(path).read_bytes() == APP
    assert time.monotonic() - began >= 1
    assert rule.hits == 1
    assert [request.status for request in hub.requests if request.method == "GET"] == [429, 200]


def test_a_cut_lfs_download_is_resumed_by_git_lfs(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    hub.faults.add(Cut(at=0.5), host=CDN, times=1)
    stock.git("clone", hub.url("owner/hello"), tmp_path / "clone")
    assert contents(tmp_path / "clone") == published()
    parts = [(request.status, request.bytes_sent) for request in hub.requests if request.kind == "cdn"]
    assert parts == [(200, len(WEIGHTS) // 2), (206, len(WEIGHTS) // 2)]


def test_a_cut_download_is_resumed_by_huggingface_hub(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It keeps whole portions only, of 10 MB unless told otherwise.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    hub.publish("owner/hello", FILES)
    hub.faults.add(Cut(at=1_000_000), host=CDN, method="GET", times=1)
    path = hf_hub_download(
        "owner/hello", "models/weights.bin", repo_type="space", endpoint=hub.endpoint, cache_dir=tmp_path, token=False
    )
    assert Path(path).read_bytes() == WEIGHTS
    assert [r.status for r in hub.requests if r.kind == "cdn"] == [200, 206]


def test_a_cut_pack_fails_the_clone_once(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", {"noise.txt": os.urandom(300_000)})
    hub.faults.add(Cut(at=100_000), path="*/git-upload-pack", times=2)  # the first answer is the short list of refs
    assert stock.git("clone", hub.url("owner/hello"), tmp_path / "clone", check=False).returncode != 0
    stock.git("clone", hub.url("owner/hello"), tmp_path / "clone")


def test_altered_and_missing_objects_fail_git_lfs(hub: Hub, stock: Stock, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    rule = hub.faults.add(Corrupt(), host=CDN)
    altered = stock.git("clone", hub.url("owner/hello"), tmp_path / "altered", check=False)
    assert altered.returncode != 0
    assert "expected OID" in altered.stderr
    hub.faults.remove(rule)
    hub.faults.add(MissingObject())
    missing = stock.git("clone", hub.url("owner/hello"), tmp_path / "missing", check=False)
    assert missing.returncode != 0
    assert "Object does not exist" in missing.stderr
    hub.faults.clear()
    stock.git("clone", hub.url("owner/hello"), tmp_path / "sound")


def test_error_statuses_and_pages_in_place_of_json(hub: Hub, api: HfApi) -> None:
    hub.publish("owner/hello", FILES)
    hub.faults.add(Status(503), path="/api/*", times=1)
    with pytest.raises(HfHubHTTPError) as broken:
        api.space_info("owner/hello")
    assert broken.value.response.status_code == 503
    hub.faults.add(Html(), path="/api/*", times=1)
    with pytest.raises(json.JSONDecodeError):
        api.space_info("owner/hello")
    assert api.space_info("owner/hello").sdk == "gradio"


def test_offline_refuses_connections_and_comes_back_at_the_same_address(hub: Hub, api: HfApi) -> None:
    hub.publish("owner/hello", FILES)
    assert api.space_info("owner/hello").sdk == "gradio"
    hub.go_offline()
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(hub.endpoint)
    with pytest.raises(Exception, match="refused"):
        api.space_info("owner/hello")
    hub.go_online()
    assert api.space_info("owner/hello").sdk == "gradio"


def test_a_narrow_line_is_shared_and_latency_delays(hub: Hub) -> None:
    hub.publish("owner/hello", FILES)
    address = f"{hub.url('owner/hello')}/resolve/main/models/weights.bin"
    rule = hub.faults.add(Bandwidth(8_000_000), host=CDN)
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        assert [body for _, body in pool.map(get, [address, address])] == [WEIGHTS, WEIGHTS]
    assert 0.5 < time.monotonic() - began < 5
    hub.faults.remove(rule)
    hub.faults.add(Latency(0.3), path="/api/*")
    began = time.monotonic()
    get(f"{hub.endpoint}/api/spaces/owner/hello")
    assert time.monotonic() - began >= 0.3


def test_the_hub_runs_around_a_command(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes(APP)
    program = (
        "import os, sys, urllib.request as r;"
        "print(r.urlopen(os.environ['HF_ENDPOINT'] + '/spaces/owner/hello/resolve/main/app.py').read().decode());"
        "sys.exit(5)"
    )
    command = [sys.executable, "-m", "tests.hub", "--space", f"owner/hello={tmp_path}", "--", sys.executable, "-c"]
    done = subprocess.run(
        [*command, program], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (5, APP.decode().strip())
