"""What the parts of the reader ask of one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spacerun.needs.callers import Callers
    from spacerun.needs.objects import Objects
    from spacerun.needs.values import Frame, Object, Value, Values
    from spacerun.source.project import Project
    from spacerun.source.scopes import Binding, Blocks, Scope, Use


@dataclass(frozen=True)
class Setting:
    """Under which assumptions a Space is read.

    Attributes:
        gpu: Whether there is a GPU: which branch of `torch.cuda.is_available()` runs.
        variables: Environment variables that will be set.
        read: Gives the bytes of a file by its path within the Space; None where there is none.
        exists: Whether there is a file or folder at a path within the Space.
    """

    gpu: bool
    variables: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[str], bytes | None] = lambda _: None
    exists: Callable[[str], bool] = lambda _: False


class Flow(Protocol):
    """Follows expressions; see `Evaluator`."""

    project: Project
    setting: Setting
    callers: Callers
    objects: Objects

    def values(self, use: Use, frame: Frame | None = None) -> Values:
        """What an expression may be worth."""

    def decide(self, test: Use, frame: Frame | None = None) -> bool | None:
        """Whether a condition holds; None if that cannot be told."""

    def bound(self, bindings: list[Binding], name: str, scope: Scope, frame: Frame | None) -> Values:
        """What a name may be worth, given its bindings."""

    def member(self, location: str, name: str) -> Values:
        """What a module has under a name."""

    def frame(self, scope: Scope, call: Use | None, outer: Frame | None, receiver: Object | None = None) -> Frame:
        """The frame of one call."""

    def called(self, function: Value, use: Use, frame: Frame | None) -> Values:
        """What a call gives."""

    def is_dead(self, blocks: Blocks, scope: Scope, frame: Frame | None = None) -> bool:
        """Whether a block surely never runs."""

    def arguments(self, use: Use, frame: Frame | None, *names: str, at: int | None = None) -> Values | None:
        """An argument of a call, by its names or its position; None if it is not given."""

    def variable(self, name: str, default: Values = ...) -> Values:
        """What an environment variable is worth."""
