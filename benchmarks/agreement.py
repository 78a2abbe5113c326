"""How far onnxruntime and the interpreter agree on quantised networks, and why not where not.

    python -m benchmarks.agreement [--samples 1000]

onnxruntime computes quantised layers by way of binary32; the interpreter by the real-valued rule
of the model, exactly. First the networks are compared as wholes. Then each layer is given
onnxruntime's own codes, so that differences do not add up: for every code that differs, the real
number before rounding is compared with the rounding boundary. A distance of 0 is an exact tie,
which binary32 sums break by chance; a distance of some 1e-5 is a near tie that binary32 cannot see.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from benchmarks.networks import Case, quantized_cases
from lepton_edge.frontends import import_model
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.ops.pool import SumPool
from lepton_edge.passes.pipeline import lower, simplify

Array = npt.NDArray[np.generic]


def session(model: bytes, optimised: bool) -> ort.InferenceSession:
    """Return an onnxruntime session on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    )
    return ort.InferenceSession(model, options)


def onnxruntime_codes(case: Case) -> dict[str, Array]:
    """Return onnxruntime's codes by the name of the QuantizeLinear node that makes them."""
    model = onnx.load(case.path)
    makers = {n.output[0]: n.name for n in model.graph.node if n.op_type == "QuantizeLinear"}
    known = {o.name for o in model.graph.output}
    for value in makers:
        if value not in known:
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(value, onnx.TensorProto.INT8, None)
            )
    runner = session(model.SerializeToString(), optimised=False)
    names = [o.name for o in runner.get_outputs()]
    arrays = runner.run(None, {runner.get_inputs()[0].name: case.inputs})
    return {
        makers[name]: array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
        for name, array in zip(names, arrays, strict=True)
        if name in makers
    }


def final_codes(case: Case, optimised: bool) -> Array:
    """Return onnxruntime's output."""
    runner = session(case.path.read_bytes(), optimised)
    return np.asarray(runner.run(None, {runner.get_inputs()[0].name: case.inputs})[0])


def walk(
    graph: Graph, inputs: Array, theirs: Mapping[str, Array], force: str
) -> tuple[dict[str, Array], dict[str, tuple[float, float, float]]]:
    """Evaluate node by node, replacing codes by onnxruntime's: none, all, or those of mean pools.

    Returns:
        All values, and for each layer the share of codes that differ, the largest difference, and
        the largest distance (in codes) of a differing one's real value from the boundary.
    """
    values: dict[str, Array] = {**graph.constants, graph.inputs[0]: inputs}
    rows: dict[str, tuple[float, float, float]] = {}
    for node in graph.nodes:
        results = node.op.evaluate([values[v] for v in node.inputs], graph.signature(node))
        values.update(zip(node.outputs, results, strict=True))
        maker = next((s for s in node.sources if s in theirs), None)
        if maker is None or not _makes_codes(graph, node):
            continue
        ours, codes = values[node.output], theirs[maker].reshape(values[node.output].shape)
        differs = ours != codes
        gap = _boundary_distance(graph, node, values)
        farthest = float(gap[differs].max()) if differs.any() else 0.0
        rows[node.name] = (
            float(differs.mean()),
            float(np.abs(ours.astype(int) - codes.astype(int)).max()),
            farthest,
        )
        producer = graph.producers.get(node.inputs[0])
        is_mean = producer is not None and isinstance(producer.op, SumPool)
        if force == "all" or (force == "means" and is_mean):
            values[node.output] = codes
    return values, rows


def _makes_codes(graph: Graph, node: Node) -> bool:
    type_ = graph.types[node.output]
    return (
        type_.is_quantized
        and type_.quant.bits <= 8
        and node.op.name in ("requantize", "threshold", "softmax_codes")
    )


def _boundary_distance(graph: Graph, node: Node, values: Mapping[str, Array]) -> Array:
    """Distance of each real value from the nearest rounding boundary, in codes."""
    x_type, out = graph.types[node.inputs[0]], graph.types[node.output].quant
    x = values[node.inputs[0]].astype(np.float64)
    if node.op.name == "softmax_codes":
        e = np.exp((x - x.max(axis=-1, keepdims=True)) * x_type.quant.scale[0])
        real = e / e.sum(axis=-1, keepdims=True)
    else:
        real = (x - x_type.quant.zero_along(x.ndim)) * x_type.quant.scale_along(x.ndim)
    return np.asarray(np.abs(np.mod(real / out.scale[0], 1.0) - 0.5))


def compare(case: Case) -> None:
    """Print one network's agreement."""
    graph = lower(simplify(import_model(case.path))).graph
    ours = interpreter.run(graph, {graph.inputs[0]: case.inputs})[graph.outputs[0]]
    print(f"\n## {case.name}, {len(case.inputs)} inputs\n")
    as_written, optimised = (final_codes(case, is_optimised) for is_optimised in (False, True))
    print(f"- onnxruntime as written: {_agreement(ours, as_written)}")
    print(f"- onnxruntime optimised: {_agreement(ours, optimised)}")
    print(f"- onnxruntime optimised against as written: {_agreement(optimised, as_written)}")
    codes = onnxruntime_codes(case)
    values, _ = walk(graph, case.inputs, codes, "means")
    forced = values[graph.outputs[0]]
    print(f"- with onnxruntime's rounding of mean pools: {_agreement(forced, as_written)}")
    _, rows = walk(graph, case.inputs, codes, "all")
    print(
        "\n| layer, given onnxruntime's codes | codes that differ | by at most | "
        "farthest from the boundary |"
    )
    print("|---|---|---|---|")
    for name, (share, largest, distance) in rows.items():
        if share:
            print(f"| {name[-60:]} | {100 * share:.4f} % | {largest:g} | {distance:.1e} |")


def _agreement(ours: Array, theirs: Array) -> str:
    same = 100 * float((ours == theirs).mean())
    largest = int(np.abs(ours.astype(int) - theirs.astype(int)).max())
    top = 100 * float((ours.argmax(1) == theirs.argmax(1)).mean())
    return f"{same:.3f} % of final codes equal, by at most {largest}, same top-1 on {top:.2f} %"


def main() -> None:
    """Compare all networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    for case in quantized_cases(parser.parse_args().samples):
        compare(case)


if __name__ == "__main__":
    main()
