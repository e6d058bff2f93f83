"""The console entry point. `--version` is answered before anything heavy is imported."""

from __future__ import annotations

import sys

from spacerun import __version__


def main() -> None:
    """Run the command line (`spacerun`, `hf-spacerun` and `python -m spacerun`)."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"spacerun {__version__}\n")
        return
    from spacerun.cli import app

    app()


if __name__ == "__main__":
    main()
