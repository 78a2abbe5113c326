"""The PyTorch front end: names, results, and archives that would run code."""

import io
import json
import pickle
import sys
import zipfile

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, ToolMissingError, UnsupportedError
from lepton_edge.frontends import import_model
from lepton_edge.frontends.pt2 import check_archive
from lepton_edge.frontends.torch import import_pt2, import_torch
from lepton_edge.ir.interpreter import run

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
nn = torch.nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.conv2(torch.relu(self.bn1(self.conv1(x)))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(Block(), Block())
        self.drop = nn.Dropout()
        self.fc = nn.Linear(3, 5)

    def forward(self, image):
        return self.fc(self.drop(self.layer1(image).mean((2, 3))))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    return Net()


@pytest.fixture(scope="module")
def archive(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("pt2") / "net.pt2"
    torch.export.save(torch.export.export(net.eval(), (torch.randn(1, 3, 8, 8),)), path)
    return path


def rewrite(archive, tmp_path, change, name="changed.pt2"):
    """Copy an archive with the members that ``change(name, data)`` returns."""
    path = tmp_path / name
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            data = change(member.filename.partition("/")[2], old.read(member))
            if data is not None:
                new.writestr(member.filename, data)
    return path


def test_a_module(net, capfd):
    net.train()
    graph = import_torch(net, [np.zeros((4, 3, 8, 8), np.float32)])
    assert capfd.readouterr() == ("", "")
    assert net.training
    assert net.layer1[0].bn1.training
    assert (graph.name, graph.inputs) == ("Net", ("image",))
    names = [n.name for n in graph.nodes]
    assert {"layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "fc"} <= set(names)
    x = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype(np.float32)
    wanted = net.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(run(graph, {"image": x})[graph.outputs[0]], wanted, atol=1e-5)


def test_an_archive(net, archive):
    graph = import_model(archive)
    assert graph.name == "net"
    assert "layer1.1.conv2" in {n.name for n in graph.nodes}
    x = np.random.default_rng(2).normal(size=(2, 3, 8, 8)).astype(np.float32)
    wanted = net.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(run(graph, {"image": x})[graph.outputs[0]], wanted, atol=1e-5)


def test_an_archive_with_open_batch(net, tmp_path):
    path = tmp_path / "open.pt2"
    shapes = {"image": {0: torch.export.Dim("batch")}}
    program = torch.export.export(net.eval(), (torch.randn(2, 3, 8, 8),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    assert import_model(path).types["image"].shape == (1, 3, 8, 8)


def test_a_module_that_cannot_be_exported():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ImportModelError, match="torch cannot export 'Branch' to ONNX: ") as caught:
        import_torch(Branch(), [np.ones((1, 3), np.float32)])
    assert "\n" not in caught.value.what


@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_torch_is_not_installed(monkeypatch, archive, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ToolMissingError) as caught:
        import_pt2(archive)
    assert f"needs {missing}, which is not installed" in caught.value.what
    assert caught.value.hint == "pip install 'lepton-edge[torch]'"


class Exploit:
    """Pickled, it would set an environment variable when it is loaded."""

    def __reduce__(self):
        return (exec, ("import os; os.environ['LEPTON_EXPLOIT'] = '1'",))


def pickled(obj):
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


def edit_json(member, edit):
    def change(name, data):
        if name != member:
            return data
        tree = json.loads(data)
        edit(tree)
        return json.dumps(tree)

    return change


def use_pickle(tree):
    next(iter(tree["config"].values()))["use_pickle"] = True


def opaque_constant(tree):
    tree["config"]["c"] = {"path_name": "opaque_obj_0", "use_pickle": False}


def evil_target(tree):
    tree["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def evil_expression(tree):
    tree["range_constraints"]["expr_str"] = "__import__('os').system('true')"


def evil_symbol(tree):
    tree["range_constraints"]["expr_str"] = "Symbol('s0', positive=True)**Symbol('s1')"


def guards(tree):
    tree["guards_code"] = ["exec('1')"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit_json("data/weights/model_weights_config.json", use_pickle), "is stored as a pickle"),
        (
            edit_json("data/constants/model_constants_config.json", opaque_constant),
            "pickled object",
        ),
        (edit_json("models/model.json", evil_target), "calls 'torch.os.system'"),
        (edit_json("models/model.json", evil_expression), "holds the expression"),
        (edit_json("models/model.json", evil_symbol), "holds the expression"),
        (edit_json("models/model.json", guards), "holds guards, which are Python code"),
    ],
)
def test_archives_that_would_run_code_are_refused(archive, tmp_path, change, message):
    with pytest.raises(UnsupportedError, match=message) as caught:
        import_pt2(rewrite(archive, tmp_path, change))
    assert str(tmp_path) in caught.value.where


def test_sample_inputs_that_would_run_code_are_refused(archive, tmp_path, monkeypatch):
    monkeypatch.delenv("LEPTON_EXPLOIT", raising=False)
    sample = "data/sample_inputs/model.pt"
    change = lambda name, data: pickled(Exploit()) if name == sample else data  # noqa: E731
    with pytest.raises(ImportModelError, match="the sample inputs are not plain tensors"):
        import_pt2(rewrite(archive, tmp_path, change))
    import os

    assert "LEPTON_EXPLOIT" not in os.environ


@pytest.mark.parametrize(
    "member", ["data/aotinductor/model/m.so", "data/weights/model.pt", "models/other.json"]
)
def test_archives_with_other_members_are_refused(archive, tmp_path, member):
    path = rewrite(archive, tmp_path, lambda _, data: data)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(f"net/{member}", pickle.dumps(1))
    with pytest.raises(UnsupportedError, match="wanted one exported program with tensors only"):
        import_pt2(path)


def test_torch_reads_only_the_members_that_were_checked(archive):
    data = archive.read_bytes()
    copy, samples = check_archive(b"another archive in front" + data)
    with zipfile.ZipFile(io.BytesIO(copy)) as new, zipfile.ZipFile(archive) as old:
        wanted = {m.filename.partition("/")[2]: old.read(m) for m in old.infolist()}
        assert {m.filename.partition("/")[2]: new.read(m) for m in new.infolist()} == wanted
    assert samples == wanted["data/sample_inputs/model.pt"]


def test_damaged_archives(archive, tmp_path):
    path = tmp_path / "damaged.pt2"
    data = archive.read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ImportModelError, match="archive, or is damaged"):
            import_pt2(path)
    path.write_bytes(data.replace(b"archive_version", b"archive_virsion"))
    with pytest.raises((ImportModelError, UnsupportedError)):
        import_pt2(path)
    with pytest.raises(ImportModelError, match="there is no such file"):
        import_pt2(tmp_path / "missing.pt2")
    with pytest.raises(ImportModelError, match="is not a file"):
        import_pt2(tmp_path)
    compressed = tmp_path / "compressed.pt2"
    with zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("net/archive_version", "0")
    with pytest.raises(ImportModelError, match="is compressed or encrypted"):
        import_pt2(compressed)
    legacy = tmp_path / "legacy.pt2"
    with zipfile.ZipFile(legacy, "w") as file:
        file.writestr("net/archive_version", "0")
    with pytest.raises(ImportModelError, match="is a zip archive without"):
        import_pt2(legacy)


def test_a_program_that_torch_cannot_read(archive, tmp_path):
    change = lambda name, data: b"{}" if name == "models/model.json" else data  # noqa: E731
    with pytest.raises(ImportModelError, match="torch cannot read the program"):
        import_pt2(rewrite(archive, tmp_path, change))


def test_deep_json_is_refused(archive, tmp_path):
    deep = b"[" * 200_000 + b"]" * 200_000
    change = lambda name, data: deep if name == "models/model.json" else data  # noqa: E731
    path = rewrite(archive, tmp_path, change)
    with pytest.raises(ImportModelError, match="nested too deeply"):
        check_archive(path.read_bytes())
