"""All that can be read from the code of a Space, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spacerun.needs.evaluator import Evaluator
from spacerun.needs.gpu_use import find_gpu_uses
from spacerun.needs.habits import find_habits, find_sizes
from spacerun.needs.loads import find_loads
from spacerun.needs.reach import Reach
from spacerun.needs.variables import find_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spacerun.needs.flow import Setting
    from spacerun.needs.gpu_use import GpuUse
    from spacerun.needs.habits import Habit
    from spacerun.needs.load import Load
    from spacerun.needs.variables import Variable
    from spacerun.source.project import Project


@dataclass(frozen=True)
class Needs:
    """What the code loads and needs.

    Attributes:
        loads: Models, those whose name only running the code could tell among them.
        variables: Environment variables that it reads.
        gpu_uses: Uses of CUDA that nothing guards: with any, the Space needs a GPU.
        habits: What else it does.
        sizes: Largest values given to what memory depends on, such as `max_new_tokens` and `height`.
        usual_sizes: Their values before a visitor changes them.
    """

    loads: tuple[Load, ...] = ()
    variables: tuple[Variable, ...] = ()
    gpu_uses: tuple[GpuUse, ...] = ()
    habits: tuple[Habit, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    usual_sizes: Mapping[str, int] = field(default_factory=dict)


def read_needs(project: Project, setting: Setting) -> Needs:
    """Read the code of a Space; a source that goes too deep is read as far as it can be.

    Args:
        project: The code.
        setting: Under which assumptions it is read.
    """
    try:
        flow = Evaluator(project, setting)
        reach = Reach(flow)
        without = flow if not setting.gpu else Evaluator(project, replace(setting, gpu=False))
        largest, usual = find_sizes(flow, reach)
        return Needs(
            loads=find_loads(flow, reach),
            variables=find_variables(flow, reach),
            gpu_uses=find_gpu_uses(without, reach if without is flow else Reach(without)),
            habits=find_habits(flow, reach),
            sizes=largest,
            usual_sizes=usual,
        )
    except RecursionError:
        return Needs()
