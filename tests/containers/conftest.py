"""A podman that runs containers, with images of its own, and base images made from what this machine has."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from spacerun.containers.engine import Engine, try_engines

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON_BASE = "localhost/python-of-this-machine:1"
_LEFT_OUT = {"test", "tests", "idlelib", "ensurepip", "tkinter", "site-packages", "dist-packages", "__pycache__"}

# Answers each request by one page. `FROM scratch` has no other file than this program.
SERVER = r"""
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int number) { (void)number; exit(0); }

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("LISTEN_ON")))};
    inet_pton(AF_INET, getenv("LISTEN_AT"), &address.sin_addr);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGTERM, end);  // the first process of a container ignores what it does not handle
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int bound = bind(listener, (struct sockaddr *)&address, sizeof address);
    if (bound || listen(listener, 8)) { perror("bind"); return 1; }
    printf("serving as %d\n", getuid());
    fflush(stdout);
    for (;;) {
        char request[4096], page[512], answer[1024];
        int client = accept(listener, NULL, NULL);
        if (client < 0 || read(client, request, sizeof request) < 0) continue;
        int size = snprintf(page, sizeof page, "no Python here; uid %d; greeting %s", getuid(), getenv("GREETING"));
        int length = snprintf(answer, sizeof answer, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, page);
        if (write(client, answer, length) < 0) perror("write");
        close(client);
    }
}
"""


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A podman that really runs containers; what it needs on this machine is its configuration, not spacerun's.

    Where cgroups are those of another container, crun and networks of one's own fail, and rlimits cannot be raised.
    """
    path = shutil.which("podman")
    if path is None:
        _missing("podman is not installed")
    folder = tmp_path_factory.mktemp("podman")
    files = [resource.getrlimit(resource.RLIMIT_NOFILE)[0], 4096]
    most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    processes = min(most if most > 0 else 4096, 4096)
    runtime = '[engine]\nruntime = "runc"\n' if shutil.which("runc") else ""
    (folder / "containers.conf").write_text(
        f'[containers]\nnetns = "host"\n'
        f'default_ulimits = ["nofile={min(files)}:{min(files)}", "nproc={processes}:{processes}"]\n{runtime}'
    )
    settings = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        failure: str | None = ""
        for driver in ("overlay", "vfs"):  # overlay is not to be had on top of another one
            if failure is not None:
                failure = _failure(path, folder, driver)
        if failure is not None:
            _missing(f"podman cannot run a container here: {failure}")
        yield Engine("podman", path)
    finally:
        subprocess.run([path, "system", "reset", "--force"], capture_output=True, check=False)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _missing(reason: str) -> NoReturn:
    """Skip the test; where podman was installed for it (`.ci/run`), it fails."""
    if os.environ.get("PODMAN_REQUIRED"):
        pytest.fail(reason)
    pytest.skip(reason)


def _failure(path: str, folder: Path, driver: str) -> str | None:
    """Why podman runs no container with its images below `folder`."""
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/{driver}"\nrunroot = "{folder}/run-{driver}"\n'
    )
    return next(one.failure for one in try_engines(60.0) if one.path == path)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static program that serves a page."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.c").write_text(SERVER)
    subprocess.run([compiler, "-static", "-o", folder / "server", folder / "server.c"], check=True)
    return folder / "server"


@pytest.fixture(scope="session")
def python_base(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with the Python that runs the tests, and a shell: name it in FROM."""
    archive = tmp_path_factory.mktemp("base") / "base.tar"
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    library = Path(sysconfig.get_path("stdlib"))
    shell = Path("/bin/sh").resolve()
    needing = [program, shell, *library.glob("lib-dynload/*.so")]
    with tarfile.open(archive, "w") as tar:
        tar.add(library, filter=_kept)
        for file in {program, *_shared(needing)}:
            tar.add(file.resolve(), arcname=str(file))
        for name, file in {"bin/sh": shell, "usr/bin/env": Path("/usr/bin/env")}.items():
            tar.add(file.resolve(), arcname=name)
        link = tarfile.TarInfo("usr/local/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, str(program)
        tar.addfile(link)
        for name in ("tmp", "home/user/app"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)
    change = "ENV PATH=/usr/local/bin:/usr/bin:/bin"
    subprocess.run([podman.path, "import", "--change", change, archive, PYTHON_BASE], check=True, capture_output=True)
    return PYTHON_BASE


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if _LEFT_OUT & set(Path(entry.name).parts) or "/config-" in entry.name else entry


def _shared(programs: list[Path]) -> set[Path]:
    """The libraries that programs load, the loader among them."""
    found = set()
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        found |= {Path(word) for line in listed.splitlines() for word in line.split() if word.startswith("/")}
    return found
