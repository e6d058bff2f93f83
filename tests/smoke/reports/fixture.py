"""Results as tests of real Spaces leave them: every SDK, every status, and one Space that means ill."""

from __future__ import annotations

from dataclasses import replace

from spacerun.smoke.result import Check, Report, Result

BEGAN = "2026-03-02T08:15:00+00:00"
NO_GPU = "This Space needs a GPU, and this machine has none."

ANSWERS = Check("answers", ok=True, detail="HTTP 200 at http://127.0.0.1:7860/", seconds=0.041)
PAGE = Check("page", ok=True, detail="a page of Gradio, with its configuration", seconds=0.012)
CONFIG = Check("config", ok=True, detail="7 components, 1 function", seconds=0.02)
EXAMPLE = Check("example /predict", ok=True, detail='["hello"] returned "Hello hello!"', seconds=0.37)
LOG = Check("log", ok=True, detail="no traceback in 14 lines", seconds=0.001)
STAGES = {"find": 0.31, "clone": 1.24, "source": 0.52, "environment": 24.8, "rewrite": 0.02, "start": 6.9, "probe": 0.6}

HELLO = Result(
    space="gradio/hello_world",
    ok=True,
    proven="calls",
    exit_code=0,
    seconds=34.6,
    status="passed",
    revision="9a1c4a9ff4b1a4a1cbd5d4a2a0f0c5c0a7d3e111",
    sdk="gradio 5.49.1",
    stages=STAGES,
    checks=(ANSWERS, PAGE, CONFIG, EXAMPLE, LOG),
    log="/tmp/report/gradio--hello_world/app.log",
    tail=("* Running on local URL:  http://127.0.0.1:7860", "* To create a public link, set `share=True`."),
    started_at=BEGAN,
)

ANIME = replace(
    HELLO,
    space="akhaliq/AnimeGANv2",
    seconds=92.4,
    sdk="gradio 3.1.4",
    stages={**STAGES, "lfs": 11.2, "environment": 58.1, "start": 18.3},
    warnings=("requirements.txt pins nothing; packages are taken as of 2022-08-09.",),
    retries=("clone: the Hub answered 502 Bad Gateway; tried again after 2 s",),
)

CAPTIONS = Result(
    space="nielsr/comparing-captioning-models",
    ok=True,
    proven="start",
    exit_code=0,
    seconds=121.7,
    status="passed",
    revision="47c1e0a9c2c9f1a6c2b2f2f7a6c0e4e1f0a9d222",
    sdk="streamlit 1.41.1",
    stages={"find": 0.4, "clone": 0.9, "source": 0.6, "environment": 71.0, "start": 44.0, "probe": 4.1},
    checks=(
        ANSWERS,
        Check("script", ok=True, detail="ran to its end without an exception", seconds=3.9),
        Check("examples", ok=True, detail="none are written down for Streamlit", skipped=True),
    ),
    memory={"gpus": ["NVIDIA L4"], "expected_bytes": 9_663_676_416, "peak_bytes": 8_912_896_000},
    started_at=BEGAN,
)

WHISPER = Result(
    space="Xenova/whisper-web",
    ok=True,
    proven="calls",
    exit_code=0,
    seconds=5.2,
    status="passed",
    revision="c0ffee5b1a4a1cbd5d4a2a0f0c5c0a7d3e1119a1",
    sdk="static",
    stages={"find": 0.3, "clone": 2.9, "source": 0.2, "start": 0.4, "probe": 1.1},
    checks=(
        ANSWERS,
        PAGE,
        Check("links", ok=True, detail="all 12 files that the page asks for are there", seconds=0.9),
    ),
    started_at=BEGAN,
)

LIVEBOOK = Result(
    space="livebook-dev/livebook",
    ok=True,
    proven="start",
    exit_code=0,
    seconds=74.9,
    status="passed",
    revision="d15ea5e5b1a4a1cbd5d4a2a0f0c5c0a7d3e1119a",
    sdk="docker",
    stages={"find": 0.2, "clone": 0.7, "source": 0.2, "environment": 61.5, "start": 9.9, "probe": 0.3},
    checks=(ANSWERS, PAGE),
    started_at=BEGAN,
)

DIFFUSION = Result(
    space="stabilityai/stable-diffusion-3-medium",
    ok=True,
    proven="imports",
    exit_code=0,
    seconds=188.3,
    status="partial",
    limit=NO_GPU,
    revision="0ddba11b1a4a1cbd5d4a2a0f0c5c0a7d3e1119a1",
    sdk="gradio 4.44.0",
    stages={"find": 0.4, "clone": 1.1, "source": 0.9, "environment": 164.2, "imports": 18.8},
    checks=(
        Check("card", ok=True, detail="gradio 4.44.0, app.py"),
        Check("import diffusers", ok=True, detail="diffusers 0.29.2", seconds=9.1),
        Check("import torch", ok=True, detail="torch 2.5.1", seconds=8.4),
    ),
    started_at=BEGAN,
)

TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/home/user/spaces/app.py", line 3, in <module>',
    "    import gradio as gr",
    '  File "/home/user/env/lib/python3.10/site-packages/gradio/oauth.py", line 13, in <module>',
    "    from huggingface_hub import HfFolder, whoami",
    "ImportError: cannot import name 'HfFolder' from 'huggingface_hub'",
)

CRASHED = Result(
    space="facebook/MusicGen",
    ok=False,
    proven="environment",
    exit_code=9,
    seconds=61.3,
    status="failed",
    stage="start",
    message="The app ended with status 1 before it answered.",
    hint="spacerun launch facebook/MusicGen --with 'huggingface_hub<1'",
    revision="badc0de5b1a4a1cbd5d4a2a0f0c5c0a7d3e1119a",
    sdk="gradio 4.19.2",
    stages={"find": 0.4, "clone": 1.3, "source": 0.5, "environment": 52.0, "start": 6.1},
    checks=(Check("card", ok=True, detail="gradio 4.19.2, app.py"),),
    diagnosis=(
        {
            "id": "hf-folder",
            "cause": "huggingface_hub 1.0 removed HfFolder, which Gradio 4.9 to 5.7 imports",
            "remedy": "take huggingface_hub below 1.0",
            "source": "https://github.com/huggingface/huggingface_hub/releases/tag/v1.0.0",
        },
    ),
    log="/tmp/report/facebook--MusicGen/app.log",
    tail=TRACEBACK,
    started_at=BEGAN,
)

BROKEN_PAGE = Result(
    space="multimodalart/latentdiffusion",
    ok=False,
    proven="start",
    exit_code=12,
    seconds=48.8,
    status="failed",
    stage="probe",
    message="api: /info answers HTTP 500 (1 more checks failed)",
    hint="",
    revision="deadbeefb1a4a1cbd5d4a2a0f0c5c0a7d3e1119a",
    sdk="gradio 4.36.1",
    stages={**STAGES, "environment": 37.2, "probe": 2.2},
    checks=(
        ANSWERS,
        PAGE,
        Check("api", ok=False, detail="/info answers HTTP 500", seconds=0.2),
        Check("examples", ok=True, detail="the API is not described", skipped=True),
        Check("log", ok=False, detail="TypeError: argument of type 'bool' is not iterable", seconds=0.01),
    ),
    log="/tmp/report/multimodalart--latentdiffusion/app.log",
    tail=("ERROR:    Exception in ASGI application", "TypeError: argument of type 'bool' is not iterable"),
    console=("Failed to load resource: the server responded with a status of 500 (Internal Server Error)",),
    started_at=BEGAN,
)

NO_PACKAGES = Result(
    space="./examples/chat",
    ok=False,
    proven="plan",
    exit_code=6,
    seconds=3.4,
    status="failed",
    stage="environment",
    message="requirements.txt asks for transformers==9.9, which does not exist.",
    hint="The newest is 4.57.1.\nspacerun launch ./examples/chat --with 'transformers==4.57.1'",
    sdk="gradio 5.0.0",
    stages={"find": 0.01, "source": 0.4, "environment": 2.9},
    started_at=BEGAN,
)

NETWORK = Result(
    space="openai/whisper",
    ok=False,
    proven=None,
    exit_code=5,
    seconds=95.0,
    status="network",
    stage="clone",
    message="The Hub did not answer within 30 s.",
    hint="Try again later.",
    stages={"find": 0.4, "clone": 94.5},
    retries=("clone: timed out after 30 s", "clone: timed out after 30 s"),
    started_at=BEGAN,
)

NOT_RUN = Result(
    space="argilla/argilla-template-space",
    ok=False,
    proven=None,
    exit_code=130,
    seconds=0.0,
    status="not_run",
    message="The run was interrupted before its turn.",
)

HOSTILE_LINES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]> &amp; &lt;",
    "::set-output name=ok::true",
    "  ::add-mask::a",
    "text ##[add-mask]e",
    "::stop-commands::x",
    "| a | [click](https://evil.example) | ![](https://evil.example/p.png)",
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
    "right \u202eot\u202c left, \x00\x08\x0b\x7f\x85\ufffe\uffff, \ud800 alone",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "%0A::error::x",
)

HOSTILE = Result(
    space='evil/<script>"><img src=x onerror=alert(1)>|`*_[a](javascript:b)\u202e\x1b[31m',
    ok=False,
    proven="start",
    exit_code=12,
    seconds=12.0,
    status="failed",
    stage="probe",
    message="page: <b>bold</b> | `code` [x](https://evil.example) @everyone\n::error::no]]>",
    hint="spacerun launch '<script>'\n::set-output name=ok::true",
    sdk="gradio 4.0.0|<i>",
    stages={"<script>": 2.0, "start": 10.0},
    checks=(Check("page </td>", ok=False, detail="\n".join(HOSTILE_LINES), seconds=0.5),),
    diagnosis=({"id": "x", "cause": "<u>c</u>", "remedy": "</style>", "source": "javascript:alert(1)"},),
    warnings=("<svg onload=alert(1)>",),
    log="/tmp/report/evil/app.log",
    tail=HOSTILE_LINES,
    console=("</pre><script>alert(2)</script>",),
    started_at=BEGAN,
)

RESULTS = (
    HELLO,
    ANIME,
    CAPTIONS,
    WHISPER,
    LIVEBOOK,
    DIFFUSION,
    CRASHED,
    BROKEN_PAGE,
    NO_PACKAGES,
    NETWORK,
    NOT_RUN,
    HOSTILE,
)
SOUND = RESULTS[:-1]
"""All but the one that means ill."""

REPORT = Report(RESULTS, seconds=192.3, started_at=BEGAN)


def of(*results: Result, seconds: float = 192.3, interrupted: bool = False) -> Report:
    """A report of these results."""
    return Report(results, seconds=seconds, started_at=BEGAN, interrupted=interrupted)


def slowed(result: Result, factor: float) -> Result:
    """The same result, every stage of which took `factor` times as long."""
    stages = {stage: seconds * factor for stage, seconds in result.stages.items()}
    return replace(result, seconds=result.seconds * factor, stages=stages)


def many(count: int) -> Report:
    """A report of `count` Spaces, all of whose names differ."""
    results = (slowed(SOUND[n % len(SOUND)], 1 + n % 7 / 5) for n in range(count))
    return of(*(replace(result, space=f"owner/space-{n:03}") for n, result in enumerate(results)))
