"""`python -m benchmarks.reading SOURCES [--details]`: the reader against hand-made labels, beside a scan for literals.

SOURCES holds the labelled Spaces, each in a folder `owner--name`: the `folder` of its `repository` at `commit`, as
`spaces.yaml` and `heldout.yaml` say. Sources of others are not part of this project.

A model counts as found by its name, whatever the upper case; those that the labels call unknown do not count. `files`,
`addresses` and `names` of a library's own count like repositories of the Hub. The scan for literals takes every quoted
`owner/name` that is the first argument of a loading call.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spacerun.needs.flow import Setting
from spacerun.needs.report import Needs, read_needs
from spacerun.source.project import Project, read_project

HERE = Path(__file__).parent
LITERAL = re.compile(
    r"(?:from_pretrained|pipeline|SentenceTransformer|hf_hub_download|snapshot_download|load_model|WhisperModel|"
    r"load_lora_weights|InferenceClient|load)\(\s*(?:\w+\s*=\s*)?[\"']([^\"'\s]+/[^\"'\s]+)[\"']"
)


@dataclass
class Count:
    """What was found of what there is."""

    right: int = 0
    missed: int = 0
    wrong: int = 0

    def add(self, wanted: set[str], found: set[str]) -> None:
        """Count one Space."""
        self.right += len(wanted & found)
        self.missed += len(wanted - found)
        self.wrong += len(found - wanted)

    def __str__(self) -> str:
        recall = self.right / max(1, self.right + self.missed)
        precision = self.right / max(1, self.right + self.wrong)
        return f"recall {recall:.2f} ({self.right} of {self.right + self.missed}), precision {precision:.2f}"


@dataclass
class Score:
    """The result over a set of Spaces."""

    spaces: int = 0
    files: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    ids: Count = field(default_factory=Count)
    hub: Count = field(default_factory=Count)
    literals: Count = field(default_factory=Count)
    secrets: Count = field(default_factory=Count)
    variables: Count = field(default_factory=Count)
    types: list[bool] = field(default_factory=list)
    given_types: list[bool] = field(default_factory=list)
    gpus: list[bool] = field(default_factory=list)

    def show(self) -> None:
        """Print it."""
        rate = self.files / self.seconds
        print(f"{self.spaces} Spaces, {self.files} files in {self.seconds:.1f} s: {rate:.0f} a second")
        print(f"  slowest Space                {self.slowest:.2f} s")
        print(f"  models                       {self.ids}")
        print(f"  models on the Hub            {self.hub}")
        print(f"  models, literals alone       {self.literals}")
        print(f"  type of the weights          {sum(self.types)} of {len(self.types)} right")
        print(f"    where the code gives one   {sum(self.given_types)} of {len(self.given_types)}")
        print(f"  secrets needed to start      {self.secrets}")
        print(f"  variables read               {self.variables}")
        print(f"  needs a GPU                  {sum(self.gpus)} of {len(self.gpus)} right")


def plain(name: str | None) -> str:
    """A model's name as it is compared: an address on the Hub counts as its model."""
    text = (name or "").strip().removeprefix("./")
    match = re.match(r"https?://huggingface\.co/([^/]+/[^/]+)/(?:resolve|blob)/", text)
    return (match[1] if match else text).lower()


def read(folder: Path, entry: str) -> tuple[Project, Needs]:
    """Read one Space as for a machine with a GPU, without variables."""

    def content(path: str) -> bytes | None:
        file = folder / path
        return file.read_bytes() if file.is_file() else None

    project = read_project(entry, content)
    return project, read_needs(project, Setting(gpu=True, read=content, exists=lambda path: (folder / path).exists()))


def judge(label: dict[str, Any], folder: Path, score: Score, *, details: bool) -> None:
    """Add one Space to `score`."""
    began = time.perf_counter()
    project, needs = read(folder, label["entry"])
    seconds = time.perf_counter() - began
    score.spaces += 1
    score.files += len(project.modules)
    score.seconds += seconds
    score.slowest = max(score.slowest, seconds)
    wanted = {plain(row["id"]): row for row in label["models"] if row["id"] != "?"}
    found = {plain(load.id): load for load in needs.loads if load.id}
    literal = {
        plain(name) for m in project.modules.values() for name in LITERAL.findall(m.raw.decode(errors="replace"))
    }
    score.ids.add(set(wanted), set(found))
    score.hub.add(
        {name for name, row in wanted.items() if row["kind"] == "hub"},
        {name for name, load in found.items() if load.kind == "hub"},
    )
    score.literals.add(set(wanted), literal)
    for name in wanted.keys() & found.keys():
        is_type, given = found[name].precision.dtype.replace("auto", "default"), wanted[name]["dtype"]
        if wanted[name]["role"] != "remote" and given != "unknown":
            score.types.append(is_type == given)
            if given != "default":
                score.given_types.append(is_type == given)
    secrets = {row["name"] for row in label["secrets"] if row["raises"] == "start" and row["secret"]}
    required = {row.name for row in needs.variables if row.required and row.secret}
    score.secrets.add(secrets, required)
    score.variables.add({row["name"] for row in label["secrets"]}, {row.name for row in needs.variables})
    score.gpus.append(bool(needs.gpu_uses) is bool(label["needs_gpu"]))
    if details:
        print(f"{label['space']}: {len(wanted.keys() & found.keys())} of {len(wanted)} models, {seconds:.2f} s")
        print(*(f"  missed {name}" for name in sorted(wanted.keys() - found.keys())), sep="\n")
        print(*(f"  wrong  {name} ({found[name].place})" for name in sorted(found.keys() - wanted.keys())), sep="\n")


def main() -> None:
    """Score both sets of labels, as far as their sources are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--details", action="store_true")
    options = parser.parse_args()
    for name in ("spaces.yaml", "heldout.yaml"):
        score = Score()
        absent = 0
        for label in yaml.safe_load((HERE / name).read_text(encoding="utf-8")):
            folder = options.sources / label["space"].replace("/", "--")
            if folder.is_dir():
                judge(label, folder, score, details=options.details)
            else:
                absent += 1
        print(f"{name}: {absent} without sources" if absent else name)
        if score.spaces:
            score.show()


if __name__ == "__main__":
    main()
