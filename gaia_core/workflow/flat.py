"""One Step after expansion: vars resolved, arrays multiplied out, composites taken apart, Keys spliced."""

from collections.abc import Mapping
from dataclasses import dataclass

from gaia_core.workflow.model import Options, StepSpec


@dataclass(frozen=True, slots=True)
class FlatStep:
    """One Step, expanded.

    Attributes:
        spec: what its user wrote; all Steps made from it share it.
        element: name of the element of the sweep that it is, or that it lies in as a composite's inner Step.
        aliases: every other name that stands for it: its spec's, its element's, those of composites around it.
        commands: names of the composite Commands it lies in, outermost first, and last of the Command it runs.
        options: those of its spec and of the composites around it; the Command it runs fills the gaps.
        values: every var's text, the Command's defaults included.
        input_names: names of the Command's inputs; `inputs` holds their Keys in the same order.
        output_names: names of the mapped outputs; `outputs` holds their Keys in the same order.
    """

    name: str
    spec: StepSpec
    element: str
    aliases: tuple[str, ...]
    commands: tuple[str, ...]
    options: Options
    values: Mapping[str, str]
    input_names: tuple[str, ...]
    inputs: tuple[str, ...]
    output_names: tuple[str, ...]
    outputs: tuple[str, ...]
