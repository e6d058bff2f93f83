"""Files edited per second: spacerun's edit next to LibCST making the same one, in one run.

    python -m benchmarks.edit FOLDER [--runs 3]

Every `.py` file below FOLDER that names both gradio and launch is edited in memory. LibCST has to be installed beside
spacerun (`pip install libcst`); without it, only spacerun is timed. Its transformer takes every `….launch(…)` for
Gradio's, without tracing what it is called on, and adds or replaces `share`: less work than spacerun's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.source.rewrite import edit_launch_calls

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    sources = [raw for path in sorted(arguments.folder.rglob("*.py")) if (raw := _launching(path))]
    editors: dict[str, Callable[[bytes], bytes | None]] = {"spacerun": _by_spacerun}
    if libcst_edit := _libcst():
        editors["LibCST"] = libcst_edit
    print(f"{len(sources)} files, {sum(map(len, sources)) / 1e6:.1f} MB, {arguments.runs} runs")
    seconds: dict[str, list[float]] = {name: [] for name in editors}
    results: dict[str, list[bytes | None]] = {}
    for _ in range(arguments.runs):
        for name, edit in editors.items():
            started = time.perf_counter()
            results[name] = [edit(source) for source in sources]
            seconds[name].append(time.perf_counter() - started)
    for name, times in seconds.items():
        edited = sum(result not in {None, source} for result, source in zip(results[name], sources, strict=True))
        refused = sum(result is None for result in results[name])
        rate = len(sources) / statistics.median(times)
        print(f"{name:<10} {rate:7.1f} files/s   {edited} edited, {refused} not parsed")
    if len(editors) > 1:
        ratio = statistics.median(seconds["LibCST"]) / statistics.median(seconds["spacerun"])
        same = sum(ours == theirs for ours, theirs in zip(results["spacerun"], results["LibCST"], strict=True))
        print(f"spacerun edits {ratio:.1f} times as many files per second; {same} results are the same bytes")


def _launching(path: Path) -> bytes | None:
    raw = path.read_bytes() if path.is_file() else b""
    return raw if b"gradio" in raw and b".launch(" in raw else None


def _by_spacerun(source: bytes) -> bytes:
    return edit_launch_calls("app.py", source, share=True).edited


def _libcst() -> Callable[[bytes], bytes | None] | None:
    try:
        import libcst as cst  # type: ignore[import-not-found, unused-ignore]
        from libcst import matchers as m  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None

    share = cst.Arg(
        cst.Name("True"),
        keyword=cst.Name("share"),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )

    class Share(cst.CSTTransformer):  # type: ignore[misc, unused-ignore]
        def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:  # noqa: N802
            if not m.matches(original_node.func, m.Attribute(attr=m.Name("launch"))):
                return updated_node
            given = [argument for argument in updated_node.args if m.matches(argument.keyword, m.Name("share"))]
            if given:
                return updated_node.with_deep_changes(given[0], value=cst.Name("True"))
            first = next((i for i, a in enumerate(updated_node.args) if a.keyword or a.star == "**"), None)
            place = len(updated_node.args) if first is None else first
            return updated_node.with_changes(args=[*updated_node.args[:place], share, *updated_node.args[place:]])

    def edit(source: bytes) -> bytes | None:
        try:
            return bytes(cst.parse_module(source).visit(Share()).bytes)
        except cst.ParserSyntaxError:
            return None

    return edit


if __name__ == "__main__":
    main()
