"""From a network to a verified design, and what can be done with it."""

from lepton_edge.flow.build import FLOWS, BuildOptions, Built
from lepton_edge.flow.compile import compile_model, plan_model
from lepton_edge.flow.compiled import Artifact, open_artifact
from lepton_edge.flow.options import LEVELS, CompileOptions
from lepton_edge.flow.samples import random_inputs

__all__ = [
    "FLOWS",
    "LEVELS",
    "Artifact",
    "BuildOptions",
    "Built",
    "CompileOptions",
    "compile_model",
    "open_artifact",
    "plan_model",
    "random_inputs",
]
