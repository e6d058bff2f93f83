"""The running process: start, readiness, share link, log, stop, and the list of running apps."""

from spacerun.app.detach import launch_detached
from spacerun.app.ports import allocate_port, release_port
from spacerun.app.registry import hook_folder, new_id, reap_orphans, run_folder
from spacerun.app.run import supervise
from spacerun.app.spec import AppRecord, AppSpec

__all__ = [
    "AppRecord",
    "AppSpec",
    "allocate_port",
    "hook_folder",
    "launch_detached",
    "new_id",
    "reap_orphans",
    "release_port",
    "run_folder",
    "supervise",
]
