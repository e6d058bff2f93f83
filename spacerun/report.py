"""What `launch` and `plan` tell, as data for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from spacerun.app.registry import hook_folder
from spacerun.app.ways import ways_in
from spacerun.source.hook_files import read_launched

if TYPE_CHECKING:
    from spacerun.app.spec import AppRecord
    from spacerun.environment.torch import TorchChoice
    from spacerun.needs.variables import Variable
    from spacerun.stages import Located, Prepared


def located_data(located: Located) -> dict[str, Any]:
    """What is known once the small files are here."""
    checkout, plan = located.checkout, located.environment_plan
    return {
        "space": located.name,
        "revision": checkout.commit,
        "sdk": located.card.sdk,
        "sdk_version": located.card.sdk_version,
        "directory": str(checkout.directory),
        "python": plan.python or None,
        "python_why": plan.python_why,
        "torch": _torch(plan.torch),
        "as_of": plan.as_of.date,
        "rung": plan.as_of.rung.value,
        "as_of_why": plan.as_of.why,
        "rewrites": [asdict(rewrite) for rewrite in located.source.rewrites],
        "gpu": located.checked.devices.to_json() | located.fit.to_json(),
        "needs_gpu": bool(located.needs.gpu_uses),
        "models": model_data(located),
        "unknown_models": [load.place for load in located.needs.loads if load.id is None],
        "secrets": [_variable(row) for row in located.needs.variables if row.secret or row.required],
        "variables": [_variable(row) for row in located.needs.variables],
        "habits": [asdict(habit) for habit in located.needs.habits],
        "sizes": dict(located.needs.sizes),
        "usual_sizes": dict(located.needs.usual_sizes),
    }


def model_data(located: Located) -> list[dict[str, Any]]:
    """The models, each with the bytes of memory that its weights take in the form that the code loads them in."""
    weights = located.fit.estimate.weights
    return [need.to_json() | {"weights_bytes": weights.get(need.id) if need.load else None} for need in located.models]


def _variable(row: Variable) -> dict[str, Any]:
    return {"name": row.name, "required": row.required, "where": row.places[0], "secret": row.secret}


def _torch(choice: TorchChoice | None) -> dict[str, Any] | None:
    """Which PyTorch is installed, where it was chosen for this machine."""
    if choice is None:
        return None
    return {name: getattr(choice, name) for name in ("version", "build", "why", "raised_from")}


def prepared_data(prepared: Prepared) -> dict[str, Any]:
    """What is known before the app starts."""
    environment = prepared.environment
    return located_data(prepared.located) | {
        "environment": str(environment.directory) if environment else None,
        "python": environment.python_version if environment else None,
        "packages": [{"name": n, "version": version} for n, version in environment.packages] if environment else [],
        "rewrites": [asdict(rewrite) for rewrite in prepared.source.rewrites],
    }


def launch_data(prepared: Prepared, record: AppRecord, stages: dict[str, float]) -> dict[str, Any]:
    """What `launch --json` tells once the app answers."""
    return prepared_data(prepared) | {
        "id": record.id,
        "url": record.url,
        "share_url": record.share_url,
        "reach": record.reach,
        "ways_in": [way.to_json() for way in ways_in(record.url)] if record.url and not record.share_url else [],
        "pid": record.pid,
        "port": record.port,
        "log": record.log,
        "launches": [launched.to_json() for launched in read_launched(hook_folder(record.id))],
        "attempts": [attempt.to_json() for attempt in prepared.attempts],
        "stages": stages,
    }
