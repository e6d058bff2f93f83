"""Clone and launch any Hugging Face Space on your own GPU machine.

In Python as on the command line: `with spacerun.launch("owner/name") as app: print(app.url)`.
"""

__version__ = "0.1.0"

__all__ = [
    "App",
    "AppCrashedError",
    "AppTimeoutError",
    "Check",
    "FetchError",
    "GpuMemoryError",
    "MissingSecretError",
    "NoGpuError",
    "NotFoundError",
    "PackagesError",
    "Plan",
    "PrerequisiteError",
    "ProbeError",
    "RefusedError",
    "Report",
    "Result",
    "ShareError",
    "SpacerunError",
    "UsageError",
    "launch",
    "plan",
    "smoke_test",
]

_MODULES = {
    "smoke_test": "spacerun.smoke.api",
    **dict.fromkeys(("Check", "Report", "Result"), "spacerun.smoke.result"),
}

TYPE_CHECKING = False  # importing it from `typing` would take longer than all that is done here
if TYPE_CHECKING:
    from spacerun.api import App, Plan, launch, plan
    from spacerun.errors import (
        AppCrashedError,
        AppTimeoutError,
        FetchError,
        GpuMemoryError,
        MissingSecretError,
        NoGpuError,
        NotFoundError,
        PackagesError,
        PrerequisiteError,
        ProbeError,
        RefusedError,
        ShareError,
        SpacerunError,
        UsageError,
    )
    from spacerun.smoke.api import smoke_test
    from spacerun.smoke.result import Check, Report, Result
else:

    def __getattr__(name: str) -> object:
        """Import what `__all__` names when it is first asked for: `import spacerun` alone takes no time."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        where = _MODULES.get(name, "spacerun.errors" if name.endswith("Error") else "spacerun.api")
        return globals().setdefault(name, getattr(import_module(where), name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
