"""Part of the start-up hook: fetches another model wherever the app names one that is replaced.

`models.json` beside this file says which: `{"old/name": {"id": "new/name", "revision": null}}`; with a revision, that one
is fetched wherever the app asks for none in particular. The functions below are all through which
huggingface_hub 0.0.8 to 2.x, and transformers before it used that, turn a model's name into an address.

It runs inside the Space, on Python 3.7 and later: standard library only.
"""

import functools
import inspect
import json
import os
import types

# Module: its functions and methods whose first parameter, or the one called NAMES, is a model's name.
FETCHING = {
    "huggingface_hub.file_download": ("hf_hub_download", "hf_hub_url", "try_to_load_from_cache"),
    "huggingface_hub._snapshot_download": ("snapshot_download",),
    "huggingface_hub.snapshot_download": ("snapshot_download",),
    "huggingface_hub.hf_api": (
        "HfApi.model_info",
        "HfApi.repo_info",
        "HfApi.repo_exists",
        "HfApi.file_exists",
        "HfApi.list_repo_files",
        "HfApi.list_repo_tree",
        "HfApi.list_repo_refs",
        "HfApi.get_paths_info",
        "HfApi.get_safetensors_metadata",
    ),
    "transformers.file_utils": ("hf_bucket_url",),
    "transformers.utils.hub": ("hf_bucket_url",),
}
NAMES = ("repo_id", "model_id")


def patch(module, folder):
    """Wrap what `module`, one of FETCHING, fetches with."""
    with open(os.path.join(folder, "models.json"), encoding="utf-8") as stream:
        replaced = json.load(stream)
    for path in FETCHING[module.__name__]:
        owner = module
        *classes, name = path.split(".")
        for part in classes:
            owner = getattr(owner, part, None)
        function = vars(owner).get(name) if owner is not None else None
        if isinstance(function, types.FunctionType):
            setattr(owner, name, renaming(function, replaced, method=bool(classes)))
        # `model_info = api.model_info` was bound before.
        bound = vars(module).get(name)
        if classes and isinstance(bound, types.MethodType):
            setattr(module, name, getattr(bound.__self__, name))


def renaming(function, replaced, method):
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args, **kwargs):
        if kwargs.get("repo_type") in (None, "model"):
            args = list(args)
            holder, key = (args, method) if len(args) > method else (kwargs, first(kwargs))
            name = holder[key] if key is not None else None
            wanted = replaced.get(name) if isinstance(name, str) else None
            if wanted:
                holder[key] = wanted["id"]
                pin(args, kwargs, wanted["revision"])
        return function(*args, **kwargs)

    def first(kwargs):
        return next((name for name in NAMES if name in kwargs), None)

    def pin(args, kwargs, revision):
        if revision is None or "revision" not in names:
            return
        position = names.index("revision")
        holder, key = (args, position) if position < len(args) else (kwargs, "revision")
        if (holder[key] if holder is args else kwargs.get(key)) in (None, "main"):
            holder[key] = revision

    return call
