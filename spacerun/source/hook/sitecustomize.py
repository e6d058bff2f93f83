"""Start-up hook of one app: sees to it that Gradio's `launch` gets the settings in `launch.json`.

Python imports the first `sitecustomize` on its path when it starts; this folder is first on PYTHONPATH, so the hook
also reaches the processes that the app starts (not those started with `python -I` or `-E`, nor with another
PYTHONPATH). It costs next to nothing until `gradio` is imported, and does nothing without it.

It runs inside the Space, on Python 3.7 and later: standard library only.

`launch.json`, each null where the app's own value stands:
    share  true or false: what every `launch` gets
    host   address in place of any `server_name` that the code gives
    port   number in place of any `server_port` that the code gives
    spare  number in place of a `server_port` that something else listens on
    auth   name, salt, hash and rounds of the password that every `launch` asks for

Where models are replaced, `models.json` and `spacerun_models.py` stand here too: see there.

When `launch` is called, a line in `launched.jsonl` says so, and once the app is launched, another one tells its URLs,
the `share` it got, what was changed, and where it was called. They are complete in every Gradio just before `launch` blocks its thread, which it does by
`self.block_thread()`, or else when it returns: so both are wrapped, and nothing of how Gradio makes its tunnel.
"""

import os
import sys

FOLDER = os.path.dirname(__file__)
# Gradio 2.9 has `launch` in a mix-in, 3.0 to today in Blocks.
CLASSES = {"gradio.launchable": "Launchable", "gradio.blocks": "Blocks"}
MARK = "__launch_settings__"
# Whatever turns a model's name into an address; `FETCHING` in spacerun_models.py says what of it.
FETCHING = (
    "huggingface_hub.file_download",
    "huggingface_hub._snapshot_download",
    "huggingface_hub.snapshot_download",
    "huggingface_hub.hf_api",
    "transformers.file_utils",
    "transformers.utils.hub",
)
PATCHED = set(CLASSES)
if os.path.exists(os.path.join(FOLDER, "models.json")):
    PATCHED.update(FETCHING)


class Finder:
    """Lets the other finders find a module, and patches it as soon as it has run."""

    busy = set()

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in PATCHED or name in cls.busy:
            return None
        cls.busy.add(name)  # another app's hook may ask all finders too, this one among them
        try:
            spec = find(name, path, target)
        finally:
            cls.busy.discard(name)
        if spec is not None and spec.loader is not None:
            patch_after(spec.loader, name)
        return spec


def find(name, path, target=None):
    for finder in list(sys.meta_path):
        find_spec = getattr(finder, "find_spec", None)
        spec = find_spec(name, path, target) if find_spec else None
        if spec is not None:
            return spec
    return None


def patch_after(loader, name):
    def exec_module(module):
        if before is None:
            del loader.exec_module
        else:
            loader.exec_module = before
        loader.exec_module(module)
        try:
            if name in CLASSES:
                patch(getattr(module, CLASSES[name], None), module)
            else:
                import spacerun_models

                spacerun_models.patch(module, FOLDER)
        except Exception as error:
            report({"problem": repr(error)})

    try:
        before = vars(loader).get("exec_module")  # of another app's hook
        loader.exec_module = exec_module  # on the instance: each module has its own
    except Exception as error:
        report({"problem": repr(error)})


def patch(cls, module):
    launch = vars(cls).get("launch") if cls else None
    if launch is None or hasattr(launch, MARK):
        return
    import functools
    import inspect

    names = list(inspect.signature(launch).parameters)[1:]
    launching = {}

    @functools.wraps(launch)
    def launch_with_settings(self, *args, **kwargs):
        try:
            args, kwargs, changed = with_settings(names, args, kwargs)
            received = args[names.index("share")] if names.index("share") < len(args) else kwargs.get("share")
            launching[id(self)] = dict(caller(sys._getframe(1)), share=received, changed=changed)
            report({"launching": os.getpid()})
        except Exception as error:
            report({"problem": repr(error)})
        result = launch(self, *args, **kwargs)
        launched(self)
        return result

    def launched(self):
        facts = launching.pop(id(self), None)
        local_url = getattr(self, "local_url", None)
        if facts and local_url:
            report(dict(facts, local_url=local_url, share_url=getattr(self, "share_url", None), pid=os.getpid()))

    setattr(launch_with_settings, MARK, True)
    cls.launch = launch_with_settings

    block_thread = vars(cls).get("block_thread")
    if block_thread is not None:

        @functools.wraps(block_thread)
        def block_thread_launched(self, *args, **kwargs):
            launched(self)
            return block_thread(self, *args, **kwargs)

        cls.block_thread = block_thread_launched

    survive_without_tunnel(module)


def with_settings(names, args, kwargs):
    """The arguments as they shall be, and the names of those that were changed."""
    import json

    with open(os.path.join(FOLDER, "launch.json"), encoding="utf-8") as stream:
        settings = json.load(stream)
    args, kwargs, changed = list(args), dict(kwargs), []
    host = settings.get("host")
    for name in ("share", "server_name", "server_port") + (("auth",) if settings.get("auth") else ()):
        position = names.index(name)
        holder, key = (args, position) if position < len(args) else (kwargs, name)
        given = holder[key] if holder is args else kwargs.get(name)
        if name == "share":
            wanted = given if settings.get("share") is None else settings["share"]
        elif name == "auth":
            wanted = asking_for(settings["auth"])
        elif given is None:
            continue
        elif name == "server_name":
            wanted = host = host or given
        else:
            wanted = first_free(host, settings.get("port"), given, settings.get("spare"))
        if given is not wanted and given != wanted:
            holder[key] = wanted
            changed.append(name)
    return args, kwargs, changed


def asking_for(auth):
    """What Gradio asks whether a name and a password are right (`launch(auth=...)`, "callable", since 2.9)."""
    import hashlib
    import hmac

    def may_enter(user, password):
        name, secret = (text.encode("utf-8", "backslashreplace") for text in (user, password))
        digest = hashlib.pbkdf2_hmac("sha256", secret, bytes.fromhex(auth["salt"]), auth["rounds"]).hex()
        right = hmac.compare_digest(auth["digest"], digest)
        return hmac.compare_digest(auth["user"].encode("utf-8", "backslashreplace"), name) and right

    return may_enter


def first_free(host, *ports):
    """The first of `ports` that nothing else has; None, with which Gradio looks for one by itself, if there is none."""
    import errno
    import socket

    for port in ports:
        if port is None:
            continue
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host or "127.0.0.1", port, type=socket.SOCK_STREAM)[
                0
            ]
            # No address reuse: Gradio 3 refuses even a port in TIME_WAIT.
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
        except Exception:
            pass
        return port
    return None


def survive_without_tunnel(module):
    """Gradio 2.9 and 3.0 end the app where a link was asked for and the machine is offline; later ones go on."""
    networking = getattr(module, "networking", None)
    setup_tunnel = getattr(networking, "setup_tunnel", None)
    if setup_tunnel is None:
        return
    import functools

    @functools.wraps(setup_tunnel)
    def setup_tunnel_or_go_on(*args, **kwargs):
        try:
            return setup_tunnel(*args, **kwargs)
        except OSError as error:  # the one of `requests` too
            raise RuntimeError(str(error)) from error

    networking.setup_tunnel = setup_tunnel_or_go_on


def caller(frame):
    """Where the app called `launch`: the first frame outside gradio."""
    while frame.f_back and (frame.f_globals.get("__name__") or "").partition(".")[0] == "gradio":
        frame = frame.f_back
    return {"file": os.path.abspath(frame.f_code.co_filename), "line": frame.f_lineno}


def report(line):
    """Add one line to `launched.jsonl`; the app goes on whether or not that succeeds."""
    try:
        import json

        data = (json.dumps(line, default=str) + "\n").encode("utf-8")
        file = os.open(os.path.join(FOLDER, "launched.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, data)
        finally:
            os.close(file)
    except Exception:
        pass


def run_next_sitecustomize():
    """Run the one that this hook hides: Debian's, a virtual environment's, the user's."""
    behind = sys.path[sys.path.index(FOLDER) + 1 :] if FOLDER in sys.path else []
    spec = find("sitecustomize", behind)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


sys.meta_path.insert(0, Finder)
run_next_sitecustomize()
