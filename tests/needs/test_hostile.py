"""A stranger's source is read in little time and memory, whatever it is made to do; nothing of it is executed."""

from __future__ import annotations

import time

import pytest

from tests.needs.reading import ids, read

LOAD = "from transformers import AutoModel\nload = AutoModel.from_pretrained\n"

HOSTILE = {
    "a long product": "a = 'x' * 10**9\nload(a * 10**9)",
    "a wide format": "load('%1000000000d' % 1)\nload('{:>1000000000}'.format('x'))\nload(f'{1:>1000000000}')",
    "replacing again and again": "a = 'a' * 9000\n" + "a = a.replace('a', a)\n" * 50 + "load(a)",
    "doubling": "a = 'x/y'\n" + "a = a + a\n" * 200 + "load(a)",
    "doubling a list": "a = ['x/y']\n" + "a = [a, a]\n" * 60 + "load(a)",
    "doubling a dictionary": "a = {'k': 'x/y'}\n" + "a = {'k': a, 'l': a}\n" * 60 + "load(a['k'])",
    "functions that call one another": "def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\nload(f('a/b'))",
    "a tree of calls": "".join(f"def f{n}(x):\n    return f{n + 1}(x) or f{n + 1}(x + 'a')\n" for n in range(60))
    + "def f60(x):\n    return x\nload(f0('a/b'))",
    "many callers": "def f(x):\n    load(x)\n" + "".join(f"f('a/b{n}')\n" for n in range(3000)),
    "many bindings": "".join(f"a = 'a/b{n}'\n" for n in range(5000)) + "load(a)",
    "deep nesting": "load(" + "(" * 80 + "'a/b'" + ")" * 80 + ")",
    "deep sums": "load(" + " + ".join(["'a'"] * 800) + ")",
    "conditions that depend on one another": "".join(f"if a{n + 1}:\n    a{n} = load('a/b')\n" for n in range(500)),
    "a class of itself": "class C(C):\n    def __init__(self):\n        super().__init__()\nload(C().name)",
    "names in a circle": "a = b\nb = c\nc = a\nload(a)",
    "big numbers": "a = 10\n" + "a = a * a\n" * 60 + "load(str(a))",
    "an attribute of a text": "load('{0.__class__}'.format('x'))",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_source_takes_long(what: str) -> None:
    began = time.monotonic()
    read(LOAD + HOSTILE[what])
    assert time.monotonic() - began < 8, "well under a second on an idle machine, a few at most"


def test_reading_executes_nothing(tmp_path) -> None:
    marker = tmp_path / "executed"
    read(f"open({str(marker)!r}, 'w')\nX = __import__('os').system('touch {marker}')\n{LOAD}load(eval('1'))\n")
    assert not marker.exists()


def test_a_source_that_cannot_be_parsed_says_nothing() -> None:
    needs = read("def broken(:\n")
    assert (needs.loads, needs.variables) == ((), ())


def test_many_candidates_are_bounded() -> None:
    table = ", ".join(f"'a/b{n}'" for n in range(5000))
    assert len(ids(f"{LOAD}import x\nload([{table}][x.y])\n")) <= 60


def test_yaml_that_blows_up_is_not_read() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\nmodel: a/b\n"
    source = f"import yaml\n{LOAD}load(yaml.safe_load(open('c.yaml'))['model'])\n"
    assert ids(source, c__yaml="model: a/b\n") == ["a/b"]
    assert "a/b" not in ids(source, c__yaml=bomb)
