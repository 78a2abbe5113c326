"""The nodes of a design, each as text that stands alone; the shell around the design."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lepton_edge.backends.fpga.rtl_nodes import Structure, structure_of, wrapper_text
from lepton_edge.backends.fpga.rtl_shell import (
    SHELL_PINS,
    SHELL_SOURCES,
    is_handshake,
    shell_name,
    shell_text,
)
from lepton_edge.backends.fpga.rtl_text import rtl_project
from lepton_edge.data import data_dir
from lepton_edge.errors import ArtifactError
from lepton_edge.toolchain.verilator import lint
from tests.hwsim.rtl import harness

DESIGN_ID = 0x1E97


@pytest.fixture
def structure(planned) -> Structure:
    return structure_of(planned, DESIGN_ID)


def test_every_instance_of_the_top_is_a_node_and_every_node_an_instance(planned, structure) -> None:
    project = rtl_project(planned, DESIGN_ID)
    text = project.files[f"{project.top}.sv"]
    instances = set(re.findall(r"^    \) u_(\w+) \($", text, re.MULTILINE))
    assert instances == {node.name for node in structure.nodes}
    assert len(structure.nodes) == len(instances)


def test_a_node_has_the_ports_that_the_top_connects(planned, structure) -> None:
    project = rtl_project(planned, DESIGN_ID)
    text = project.files[f"{project.top}.sv"]
    for node in structure.nodes:
        _, connections = text.split(f") u_{node.name} (\n", 1)
        ports = re.findall(r"\.(\w+)\(", connections.split(");\n", 1)[0])
        assert {pin.name for pin in node.pins} == set(ports), node.name


def test_layers_and_memories_are_the_designs(planned, structure) -> None:
    files = rtl_project(planned, DESIGN_ID).files
    layers = {actor.layer for actor in planned.actors}
    assert {node.layer for node in structure.nodes} == layers | {""}
    read = [path for node in structure.nodes for path in node.memories]
    assert sorted(read) == sorted(path for path in files if path.startswith("memory/"))


def test_the_structure_survives_json(structure) -> None:
    assert Structure.from_json(structure.to_json()) == structure


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(top=3), "key 'top': wanted a text"),
        (lambda d: d["nodes"][0].pop("layer"), "key 'nodes[0].layer': wanted a text"),
        (lambda d: d["nodes"][0]["parameters"].update(PE=1.5), "whole numbers and texts"),
        (lambda d: d["pins"][0].update(bits=0), "a whole number, 1 or more, found 0"),
        (lambda d: d.update(schema=99), "schema version 99"),
    ],
)
def test_a_damaged_structure_is_refused(structure, change, message: str) -> None:
    document = json.loads(structure.to_json())
    change(document)
    with pytest.raises(ArtifactError) as caught:
        Structure.from_json(json.dumps(document), "rtl/nodes.json")
    assert message in caught.value.what
    assert caught.value.where == "rtl/nodes.json"


def test_nodes_that_are_alike_have_the_same_text(structure) -> None:
    node = next(node for node in structure.nodes if node.memories)
    moved = {
        key: value.replace(node.name, "other") if isinstance(value, str) else value
        for key, value in node.parameters.items()
    }
    memories = tuple(path.replace(node.name, "other") for path in node.memories)
    other = replace(node, name="other", layer="else", parameters=moved, memories=memories)

    assert wrapper_text(other) == wrapper_text(node)
    assert [other.neutral(path) for path in other.memories] == [
        node.neutral(path) for path in node.memories
    ]


def test_long_products_are_cut_for_the_boards_multipliers(planned) -> None:
    def factors(dsp_kind):
        return {
            (node.parameters.get("DSP_WIDE"), node.parameters.get("DSP_NARROW"))
            for node in structure_of(planned, DESIGN_ID, dsp_kind).nodes
            if node.module == "lepton_requantize"
        }

    assert factors("DSP48E1") == {(None, None)}  # what the module takes by itself
    assert factors("MULT18X18D") == {(18, 18)}
    assert ".DSP_WIDE(16)" in rtl_project(planned, 0, "SB_MAC16").files[f"{planned.name}.sv"]


def test_the_shell_has_few_pins_and_reaches_all_ports(structure) -> None:
    text = shell_text(structure)
    head, body = text.split(");\n", 1)
    assert re.findall(r"(?:input|output) +logic (\w+)", head) == [*SHELL_PINS]
    for pin in structure.pins[2:]:
        assert f".{pin.name}({pin.name})" in body
    names = [pin.name for pin in structure.pins if is_handshake(pin)]
    assert "s_axi_control_AWVALID" in names
    assert "s_axi_control_BREADY" in names
    assert not any(name.endswith("DATA") for name in names)


@harness.needs_simulator
def test_wrappers_and_shell_have_no_warning(planned, structure, tmp_path: Path) -> None:
    files = dict(rtl_project(planned, DESIGN_ID).files)
    files[f"{shell_name(structure)}.sv"] = shell_text(structure)
    for source in SHELL_SOURCES:
        files[source] = (data_dir("hls") / "rtl" / "shell" / source).read_text()
    kernels = [path for path in files if path.endswith(".sv")]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert "%Warning" not in lint(tmp_path, shell_name(structure), kernels)
    one_of_each = {node.module: node for node in structure.nodes}
    for node in one_of_each.values():
        folder = tmp_path / node.name
        folder.mkdir()
        (folder / "node.sv").write_text(wrapper_text(node))
        for path in node.memories:
            (folder / node.neutral(path)).write_text(files[path])
        sources = [f"../{path}" for path in kernels if path.startswith("kernels/")]
        assert "%Warning" not in lint(folder, "node", ["node.sv", *sources])
