"""The environment variables that the code reads, and those without which it does not start."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.needs.values import Const, Defined, External, Values, texts, truth, variables
from spacerun.source.scopes import Typed, Use, dotted
from spacerun.text import names_secret

if TYPE_CHECKING:
    from spacerun.needs.flow import Flow
    from spacerun.needs.reach import Reach
    from spacerun.needs.values import Frame
    from spacerun.source.scope_walk import ModuleScopes
    from spacerun.source.scopes import Scope

_READERS: Final = frozenset({
    "os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault", "decouple.config",
    "streamlit.secrets.get", "google.colab.userdata.get", "starlette.config.Config",
})  # fmt: skip
_MAPPINGS: Final = frozenset({"os.environ", "streamlit.secrets"})
_EXITS: Final = frozenset({"sys.exit", "builtins.exit", "builtins.quit", "os._exit", "streamlit.stop"})


@dataclass(frozen=True)
class Client:
    """A client that raises, or waits for an answer on standard input, where it is given no key.

    Attributes:
        calls: Full names, by their first and last parts.
        key: Keywords of the key.
        at: Its position.
        variables: What the client itself reads where no key is given; one of them is enough.
    """

    calls: tuple[str, ...]
    key: tuple[str, ...]
    at: int | None
    variables: tuple[str, ...] = ()


_KEYS: Final = ("api_key", "token", "openai_api_key", "groq_api_key", "google_api_key", "auth_token")
# Each raises at once (openai/_client.py, groq/_client.py, together/client.py, tavily/tavily.py, …); `login(None)` asks
# on standard input (huggingface_hub/_login.py).
_CLIENTS: Final = (
    Client(("openai.OpenAI", "openai.AsyncOpenAI"), _KEYS, None, ("OPENAI_API_KEY",)),
    Client(("openai.AzureOpenAI",), _KEYS, None, ("AZURE_OPENAI_API_KEY",)),
    Client(("groq.Groq", "groq.AsyncGroq"), _KEYS, None, ("GROQ_API_KEY",)),
    Client(("together.Together",), _KEYS, None, ("TOGETHER_API_KEY",)),
    Client(("cohere.Client", "cohere.ClientV2"), _KEYS, 0, ("CO_API_KEY",)),
    Client(("tavily.TavilyClient",), _KEYS, 0, ("TAVILY_API_KEY",)),
    Client(("pinecone.Pinecone",), _KEYS, 0, ("PINECONE_API_KEY",)),
    Client(("langchain_openai.ChatOpenAI", "langchain_openai.OpenAIEmbeddings"), _KEYS, None, ("OPENAI_API_KEY",)),
    Client(("langchain_groq.ChatGroq",), _KEYS, None, ("GROQ_API_KEY",)),
    Client(("langchain_google_genai.ChatGoogleGenerativeAI",), _KEYS, None, ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    Client(("google.genai.Client",), _KEYS, None, ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    Client(("huggingface_hub.login",), ("token",), 0),
    Client(("supabase.create_client",), ("supabase_key",), 1),
    Client(("supabase.create_client",), ("supabase_url",), 0),
)


@dataclass(frozen=True)
class Variable:
    """An environment variable that the code reads.

    Attributes:
        name: Its name.
        required: Whether the app does not start without it.
        secret: Whether its name says that it holds a secret.
        places: Where it is read, as `file:line`.
    """

    name: str
    required: bool
    secret: bool
    places: tuple[str, ...]


def find_variables(flow: Flow, reach: Reach) -> tuple[Variable, ...]:
    """The environment variables that the code of a Space reads, the required ones first.

    What the code itself sets before, and what is read where its absence is handled, is not required.
    """
    finder = _Finder(flow, reach)
    finder.find()
    rows = [
        Variable(name, name in finder.required, names_secret(name), tuple(dict.fromkeys(places)))
        for name, places in finder.places.items()
        if name not in finder.written or name in finder.required
    ]
    return tuple(sorted(rows, key=lambda row: (not row.required, not row.secret)))


class _Finder:
    def __init__(self, flow: Flow, reach: Reach) -> None:
        self._flow = flow
        self._reach = reach
        self.places: dict[str, list[str]] = {}
        self.required: set[str] = set()
        self.written: set[str] = set()

    def find(self) -> None:
        """Go over all code that may run."""
        for scopes in self._flow.project.all_scopes():
            readers = ((self._item, scopes.subscripts), (self._ends, scopes.raises), (self._asserted, scopes.asserts))
            for read, uses in readers:
                for use in filter(self._runs, uses):
                    read(use, scopes)
            for scope in scopes.scopes:
                if scope.is_class and scope in self._reach.scopes:
                    self._settings(scope)
        for use in self._reach.calls():
            self._call(use)
        self.required -= self.written

    def _runs(self, use: Use) -> bool:
        return self._reach.holds(use) and not self._flow.is_dead(use.blocks, use.scope)

    def _note(self, name: str, use: Use, *, required: bool = False) -> None:
        self.places.setdefault(name, []).append(f"{use.scope.file}:{use.position[0]}")
        if required:
            self.required.add(name)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _item(self, use: Use, scopes: ModuleScopes) -> None:
        """`os.environ["NAME"]`."""
        node = use.expression
        where = self._mapping(use.of(node.value)) if isinstance(node, ast.Subscript) else None
        if where is None or not isinstance(node, ast.Subscript):
            return
        for frame in self._flow.callers.contexts(use.scope):
            for name in texts(self._flow.values(use.of(node.slice), frame)):
                if isinstance(node.ctx, ast.Load):
                    # Streamlit's secrets come from a file, which `--env` cannot give.
                    absent = where == "os.environ" and name not in self._flow.setting.variables
                    self._note(name, use, required=absent and self._is_certain(use, scopes, frame) is not None)
                elif self._reach.is_at_start(use):
                    self.written.add(name)

    def _mapping(self, use: Use) -> str | None:
        """Which of `_MAPPINGS` an expression is."""
        name = dotted(use.expression) or ""
        if name.rpartition(".")[2] not in {"environ", "secrets"}:
            return None
        found = (value.name for value in self._flow.values(use) if isinstance(value, External))
        return next((name for name in found if name in _MAPPINGS), None)

    def _call(self, use: Use) -> None:
        call = use.expression
        if not isinstance(call, ast.Call):
            return
        for function in self._flow.values(use.of(call.func)):
            if isinstance(function, External):
                self._named(function.name, use)

    def _named(self, function: str, use: Use) -> None:
        if function in _READERS:
            for frame in self._flow.callers.contexts(use.scope):
                for name in texts(self._flow.arguments(use, frame, "key", at=0) or ()):
                    self._note(name, use)
                    if function.endswith("setdefault"):
                        self.written.add(name)
        if function in _EXITS:
            scopes = self._flow.project.scopes(use.scope.file)
            if scopes:
                self._ends(use, scopes)
        for client in _CLIENTS:
            if any(_is(function, name) for name in client.calls):
                self._client(client, use)

    def _client(self, client: Client, use: Use) -> None:
        scopes = self._flow.project.scopes(use.scope.file)
        for frame in self._flow.callers.contexts(use.scope) if scopes else ():
            given = self._flow.arguments(use, frame, *client.key, at=client.at)
            certain = scopes and self._is_certain(use, scopes, frame) is not None
            if given is None or (given and all(value == Const(None) for value in given)):
                known = self._flow.setting.variables
                if client.variables and not any(known.get(name) for name in client.variables):
                    self._note(client.variables[0], use, required=bool(certain))
            elif certain:
                self.required |= _missing(given)

    def _settings(self, owner: Scope) -> None:
        """The fields of a `pydantic_settings.BaseSettings`: those without a default are required."""
        bases = self._flow.objects.bases(owner)
        if not any(isinstance(base, External) and base.name.endswith("BaseSettings") for base in bases):
            return
        for name, bindings in owner.bindings.items():
            for binding in bindings:
                if isinstance(binding.defined, Typed) and not name.startswith(("_", "model_")):
                    use = Use(binding.defined.type.expression, owner, ())
                    known = self._flow.setting.variables
                    missing = binding.defined.value is None and name.upper() not in known
                    self._note(name.upper(), use, required=missing and self._is_made_at_start(owner))

    def _is_made_at_start(self, owner: Scope) -> bool:
        return any(
            self._reach.is_at_start(use)
            and any(
                isinstance(value, Defined) and value.scope is owner
                for value in self._flow.values(use.of(use.expression.func))
            )
            for scopes in self._flow.project.all_scopes()
            for use in scopes.calls_by_name.get(getattr(owner.node, "name", ""), [])
            if isinstance(use.expression, ast.Call)
        )

    # -- ending --------------------------------------------------------------------------------------------------------

    def _is_certain(self, use: Use, scopes: ModuleScopes, frame: Frame | None) -> frozenset[str] | None:
        """The variables whose absence leads to `use` when the app starts; None where something else plays a part."""
        if not self._reach.is_at_start(use) or scopes.in_try(use):
            return None
        found: frozenset[str] = frozenset()
        for block in use.blocks:
            test = scopes.tests.get(block)
            if test is None:
                return None
            values = self._flow.values(test[0], frame)
            holds = {truth(value) for value in values}
            if holds != {test[1]}:
                return None
            found |= variables(values)
        return found

    def _ends(self, use: Use, scopes: ModuleScopes) -> None:
        """`if not KEY: raise …`."""
        for frame in self._flow.callers.contexts(use.scope):
            self.required |= self._is_certain(use, scopes, frame) or frozenset()

    def _asserted(self, use: Use, scopes: ModuleScopes) -> None:
        """`assert KEY`."""
        for frame in self._flow.callers.contexts(use.scope):
            values = self._flow.values(use, frame)
            if self._is_certain(use, scopes, frame) is not None and {truth(value) for value in values} == {False}:
                self.required |= variables(values)


def _missing(values: Values) -> frozenset[str]:
    """The variables that a value is read from, if it surely is none."""
    if all(isinstance(value, Const) and not value.value for value in values):
        return variables(values)
    return frozenset()


def _is(function: str, pattern: str) -> bool:
    """Whether `function` is `package.….name` where `pattern` is `package.name`."""
    package, _, name = pattern.rpartition(".")
    return function.startswith(f"{package}.") and function.rpartition(".")[2] == name
