"""A stand-in for huggingface.co on loopback: git, git-lfs, the REST API, file downloads, and faults on demand."""

from tests.hub.faults import (
    Bandwidth,
    Corrupt,
    Cut,
    Fault,
    Html,
    Latency,
    MissingObject,
    RefuseSha,
    Status,
)
from tests.hub.publishing import Executable, Gitlink, Sparse, Symlink
from tests.hub.server import Exchange, Hub

__all__ = [
    "Bandwidth",
    "Corrupt",
    "Cut",
    "Exchange",
    "Executable",
    "Fault",
    "Gitlink",
    "Html",
    "Hub",
    "Latency",
    "MissingObject",
    "RefuseSha",
    "Sparse",
    "Status",
    "Symlink",
]
