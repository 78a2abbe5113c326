"""Fit the prices of the cost functions to what Yosys makes of kernels, and judge them by designs.

    python -m benchmarks.calibration             # fit and judge
    python -m benchmarks.calibration --judge     # judge the prices that there are

The fit sees single actors and FIFOs of many networks in random foldings. Its prices are written to
where compile finds them. Judged are whole designs that are then planned, for goals of all kinds,
but for those of their nodes that the fit saw. Netlists come from the cache where they are in it;
without, it takes an hour or two.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from benchmarks.kernels import rare_kernels
from benchmarks.networks import shared
from benchmarks.synthesis import networks
from lepton_edge.backends.boards import Resources, load_board
from lepton_edge.backends.fpga.cells import resources_of
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.design import Design, Request, make_design
from lepton_edge.backends.fpga.folding import Caps
from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.costs import COSTS, Price, costs
from lepton_edge.backends.fpga.kernels.fifo import fifo, fifo_amounts
from lepton_edge.backends.fpga.kernels.plumbing import Fork, WidthConverter
from lepton_edge.backends.fpga.rtl_nodes import Node, Structure, structure_of
from lepton_edge.backends.fpga.rtl_text import rtl_project
from lepton_edge.cli.progress import PlainProgress
from lepton_edge.errors import LeptonError
from lepton_edge.flow.samples import read_samples
from lepton_edge.flow.synthesis import Project, part_of
from lepton_edge.frontends import import_model
from lepton_edge.passes.insert_quantizers import is_quantized
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize, simplify
from lepton_edge.toolchain.find import require_tool
from lepton_edge.toolchain.yosys import Recipe, synthesise

FAMILY = "xc7"

SEEN = Path(__file__).parent / "calibration_seen.json"
"""Hashes of what the fit saw, by which `--judge` leaves it out."""

SAMPLES = {"matrix_vector": 90, "requantize": 40, "sliding_window": 40, "depthwise": 30}
"""How many actors of a kind the fit sees; 15 of the others."""

UNJUDGED = ", a third"
"""Designs that only add variety to what the fit sees; to judge them as well takes long."""

MOST_LUTS = 900
"""Actors that take more by the prices at hand are left out of the fit: they take long."""

NETWORKS = (
    "digits",
    "mlperf_ic_resnet8_int8_qdq",
    "mlperf_kws_dscnn_int8_qdq",
    "mlperf_ad_fcae_int8_qdq",
    "ort_mnist_conv_op8_fp32",
    "zoo_tfc_2w2a_qonnx",
    "zoo_tfc_1w1a_qonnx",
    "tflm_sine_mlp_int8_qdq",
)


@dataclass(frozen=True)
class Sample:
    """Something synthesised on its own.

    Args:
        kind: of kernel, or ``fifo``, or ``registers``.
        amounts: what it is made of.
        estimated: by the prices at hand; DSP and block RAM are counted.
        node: the instance.
        files: its memory files, by the path in ``node.memories``.
    """

    kind: str
    amounts: Mapping[str, float]
    estimated: Resources
    node: Node
    files: Mapping[str, bytes]


# -- what is synthesised --------------------------------------------------------------------------


def alone(kernel: Kernel) -> Dataflow:
    """Return a network of one actor, whose streams all are ports."""
    ins = tuple(f"i{k}" for k in range(len(kernel.inputs)))
    outs = tuple(f"o{k}" for k in range(len(kernel.outputs)))
    return Dataflow("alone", (Actor("actor", kernel, ins, outs, "layer"),), ins, outs, {})


def samples_of(dataflow: Dataflow) -> list[Sample]:
    """Return all nodes of a network."""
    files = {path: text.encode() for path, text in rtl_project(dataflow, 0).files.items()}
    actors = {actor.name: actor.kernel for actor in dataflow.actors}
    widths = {
        f"{s}_fifo": (dataflow.writer[s][1].width, dataflow.depth(s)) for s in dataflow.streams
    }
    found = []
    for node in structure_of(dataflow, 0).nodes:
        if node.name in actors:
            kernel = actors[node.name]
            amounts, kind, cost = kernel.amounts, kernel.kind, kernel.resources
        elif node.name in widths:
            amounts, kind = fifo_amounts(*widths[node.name]), "fifo"
            cost = fifo(*widths[node.name])
        else:
            amounts, kind, cost = {"one": 1}, "registers", Resources()
        memories = {path: files[path] for path in node.memories}
        found.append(Sample(kind, dict(amounts), cost, node, memories))
    return found


def fifo_sample(width: int, depth: int) -> Sample:
    """Return a FIFO between two plain actors."""
    word = Elem(min(width, 32), False)
    lanes = max(1, width // word.bits)
    actors = (
        Actor("a", Fork(word, lanes, lanes), ("i",), ("s", "o1"), "a"),
        Actor("b", Fork(word, lanes, lanes), ("s",), ("o2", "o3"), "b"),
    )
    dataflow = Dataflow("alone", actors, ("i",), ("o1", "o2", "o3"), {"s": depth})
    return next(s for s in samples_of(dataflow) if s.kind == "fifo")


def designs(folder: Path) -> Iterator[tuple[str, Design]]:
    """Yield the designs that are judged."""
    board = load_board("pynq-z2")
    found = networks(folder)
    for name in NETWORKS:
        model, calibration = found.get(name, (shared() / "models" / f"{name}.onnx", None))
        graph = simplify(import_model(model))
        samples = None if is_quantized(graph) else read_samples(graph, calibration)[0]
        quantized = quantize(graph, QuantizeOptions(), samples) if samples else graph
        lowered = lower(quantized)
        base = Request(board, board.clock_mhz)
        fastest = make_design(lowered.graph, lowered.reasons, base)
        rate = board.clock_mhz * 1e6 / fastest.dataflow.cycles
        requests = {
            "a third": replace(base, fps=rate / 3),
            "a tenth": replace(base, fps=rate / 10),
            "few DSP": replace(base, fps=rate / 20, caps=Caps(dsp=40)),
        }
        yield f"{name}, fastest", fastest
        for goal, request in requests.items():
            try:
                yield f"{name}, {goal}", make_design(lowered.graph, lowered.reasons, request)
            except LeptonError as error:
                print(f"{name}, {goal}: {error}", file=sys.stderr)


def sampled(planned: Sequence[Design], rng: random.Random) -> list[Sample]:
    """Return random foldings of the networks' actors, kernels that they lack, and FIFOs."""
    pool: dict[str, list[Kernel]] = defaultdict(list)
    for design in planned:
        for actor in design.dataflow.actors:
            if not isinstance(actor.kernel, Fork | WidthConverter):
                options = list(actor.kernel.foldings())
                pool[actor.kernel.kind] += rng.sample(options, min(len(options), 12))
    kernels = list(rare_kernels())
    for kind, options in pool.items():
        few = [k for k in options if _is_quick(k)]
        kernels += rng.sample(few, min(len(few), SAMPLES.get(kind, 15)))
    lanes = ((1, 2), (2, 1), (8, 2), (2, 8), (16, 4), (3, 2), (2, 3), (4, 6), (1, 16), (9, 3))
    for a, b in (*lanes, *lanes):
        kernels.append(WidthConverter(Elem(rng.choice((2, 4, 8, 20))), 12 * a * b, a, b))
    kernels += [Fork(Elem(8), 96, n) for n in (1, 4, 16)]
    found = [next(s for s in samples_of(alone(k)) if s.kind == k.kind) for k in kernels]
    sizes = [(w, d) for w in (2, 8, 20, 32, 64) for d in (2, 5, 20, 64, 100, 400, 1000)]
    return found + [fifo_sample(w, d) for w, d in rng.sample(sizes, 25)]


def _is_quick(kernel: Kernel) -> bool:
    """Whether a kernel is synthesised in seconds: large memories in LUTs take a minute and more."""
    return kernel.resources.lut <= MOST_LUTS and kernel.amounts.get("weights", 0) <= MOST_LUTS / 3


class Synthesiser:
    """Yosys with its cache."""

    def __init__(self, jobs: int) -> None:
        self.tool, self.recipe, self.jobs = require_tool("yosys"), Recipe.of(FAMILY), jobs
        rtl = Path(__file__).parents[1] / "hls" / "rtl"
        self.kernels = {path.stem: path.read_bytes() for path in sorted(rtl.glob("*.sv"))}

    def resources(self, samples: Sequence[Sample], title: str) -> list[Resources]:
        """Return what each sample occupies."""
        progress = PlainProgress(sys.stderr)
        with tempfile.TemporaryDirectory() as scratch, progress.stage(title):
            root = Path(scratch)
            parts = []
            for index, sample in enumerate(samples):
                folder = root / str(index)
                for path, content in sample.files.items():
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    (folder / path).write_bytes(content)
                structure = Structure("alone", (), (sample.node,))
                part = part_of(Project(folder, structure, self.kernels), sample.node)
                parts.append(replace(part, name=f"node{index}"))
            netlists = synthesise(
                parts, self.recipe, self.tool, parallel=self.jobs, logs=root, progress=progress
            )
        return [resources_of(netlists[part.name].cells, FAMILY) for part in parts]


# -- fit and judgement ----------------------------------------------------------------------------


def fitted(samples: Sequence[Sample], found: Sequence[Resources]) -> dict[str, dict[str, Price]]:
    """Return prices by kind and amount: the least squares of what is off, none below zero.

    A sample weighs as if its error were the square root of its size, and 20 more.
    """
    kinds: dict[str, list[tuple[Sample, Resources]]] = defaultdict(list)
    for sample, used in zip(samples, found, strict=True):
        kinds[sample.kind].append((sample, used))
    prices: dict[str, dict[str, Price]] = {}
    for kind, pairs in sorted(kinds.items()):
        names = list(dict.fromkeys(name for sample, _ in pairs for name in sample.amounts))
        amounts = np.array([[s.amounts.get(name, 0) for name in names] for s, _ in pairs], float)
        columns = []
        for resource in ("lut", "ff"):
            wanted = np.array([getattr(used, resource) for _, used in pairs], float)
            weight = 1 / np.sqrt(wanted + 20)
            columns.append(nnls(amounts * weight[:, None], wanted * weight)[0])
        prices[kind] = {
            name: (round(float(lut), 3), round(float(ff), 3))
            for name, lut, ff in zip(names, *columns, strict=True)
            if lut > 0.0005 or ff > 0.0005
        }
    return prices


def priced(sample: Sample, prices: Mapping[str, Mapping[str, Price]]) -> Resources:
    """Return the estimate of a sample: counted blocks, logic by the prices."""
    of = prices.get(sample.kind, {})
    lut, ff = (
        sum(amount * of[name][k] for name, amount in sample.amounts.items() if name in of)
        for k in (0, 1)
    )
    return replace(sample.estimated, lut=round(lut), ff=round(ff))


def total(amounts: Sequence[Resources]) -> Resources:
    """Return the sum."""
    found = Resources()
    for one in amounts:
        found += one
    return found


def judged(name: str, estimated: Resources, used: Resources) -> str:
    """Return a design's line of the table."""
    cells = []
    for resource in ("lut", "ff", "dsp", "bram36"):
        guess, truth = getattr(estimated, resource), getattr(used, resource)
        cells += [f"{truth:,.6g}", f"{guess:,.6g}", f"{guess / truth - 1:+.1%}" if truth else "-"]
    return f"| {name} | {' | '.join(cells)} |"


def worst_samples(
    samples: Sequence[Sample], found: Sequence[Resources], prices: Mapping[str, Mapping[str, Price]]
) -> Iterator[str]:
    """Yield, for each kind, how far the fit is off what it saw."""
    kinds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for sample, used in zip(samples, found, strict=True):
        kinds[sample.kind].append((priced(sample, prices).lut, used.lut))
    for kind, pairs in sorted(kinds.items()):
        guess, truth = np.array(pairs).T
        off = np.abs(guess - truth).sum() / max(truth.sum(), 1)
        yield f"{kind:16} {len(pairs):4} samples, LUTs off by {off:.1%}"


def fit(yosys: Synthesiser, planned: Sequence[Design], source: str) -> None:
    """Write prices fitted to samples, and what these are."""
    samples = sampled(planned, random.Random(1))
    samples += [s for s in samples_of(planned[0].dataflow) if s.kind == "registers"]
    found = yosys.resources(samples, f"synthesise {len(samples)} samples for the fit")
    prices = fitted(samples, found)
    print("\n".join(worst_samples(samples, found, prices)), end="\n\n")
    seen = sorted({_identity(sample) for sample in samples})
    SEEN.write_text(json.dumps(seen) + "\n", encoding="utf-8")
    _write({"source": source, "designs": 0, "error": {}, "prices": prices})


def judge(yosys: Synthesiser, planned: Mapping[str, Design]) -> None:
    """Compare estimates of designs with their synthesis, and note the errors beside the prices.

    What the fit saw is left out.
    """
    seen = set(json.loads(SEEN.read_text(encoding="utf-8")))
    nodes = {
        name: [s for s in samples_of(design.dataflow) if _identity(s) not in seen]
        for name, design in planned.items()
    }
    errors: dict[str, list[float]] = {name: [] for name in ("lut", "ff", "dsp", "bram36")}
    head = [f"{r} {what}" for r in ("LUT", "FF", "DSP", "BRAM36") for what in ("", "est.", "off")]
    print(f"| design | {' | '.join(head)} |\n|---|{'---|' * len(head)}")
    for name in sorted(nodes, key=lambda name: total([s.estimated for s in nodes[name]]).lut):
        used = total(yosys.resources(nodes[name], name))
        guess = total([sample.estimated for sample in nodes[name]])
        for resource, off in errors.items():
            truth = getattr(used, resource)
            off.append(abs(getattr(guess, resource) - truth) / max(truth, 1))
        print(judged(name, guess, used), flush=True)
    document = json.loads(COSTS.read_text(encoding="utf-8"))
    document["designs"] = len(errors["lut"])
    document["error"] = {
        r: (round(float(np.mean(o)), 4), round(max(o), 4)) for r, o in errors.items()
    }
    _write(document)
    print(f"\n{document['designs']} designs: {document['error']} (mean, worst)")


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--judge", action="store_true", help="judge the prices that there are")
    given = parser.parse_args()
    yosys = Synthesiser(given.jobs)
    source = f"Yosys {yosys.tool.version} {yosys.recipe.command}, {datetime.date.today()}"
    with tempfile.TemporaryDirectory() as scratch:
        if not given.judge:
            fit(yosys, [design for _, design in designs(Path(scratch))], source)
            costs.cache_clear()
        found = designs(Path(scratch))
        judge(yosys, {name: d for name, d in found if not name.endswith(UNJUDGED)})


def _write(document: Mapping[str, object]) -> None:
    COSTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _identity(sample: Sample) -> str:
    """Return a hash of what makes two samples the same."""
    parameters = sorted(sample.node.parameters.items())
    text = repr((sample.kind, parameters, sorted(sample.files.items())))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


if __name__ == "__main__":
    main()
