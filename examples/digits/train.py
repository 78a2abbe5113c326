"""Train the digits example, and write the files that the compiler reads.

The network is small, and has one of each thing worth seeing in a compiled design: a strided
convolution, a residual block, a depthwise-separable block, pooling and a dense layer.

    python examples/digits/train.py

writes, beside this file, ``digits.onnx`` (float), ``calibration.npz``, ``test_inputs.npz`` and
``test_labels.npz``. It takes seconds on one CPU core; the seeds are fixed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
SEED = 7
NUM_TEST = 450
NUM_CALIBRATION = 200
NUM_EPOCHS = 60
BATCH_SIZE = 64
OPSET = 20


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, num_in: int, num_out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            num_in, num_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(num_out)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, num_in, H, W] to [N, num_out, H / stride, W / stride]."""
        y: Tensor = self.act(self.norm(self.conv(x)))
        return y


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions, and the input added to what they give."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(num_channels, num_channels, 3)
        self.conv = nn.Conv2d(num_channels, num_channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(num_channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the same shape."""
        y: Tensor = self.act(x + self.norm(self.conv(self.first(x))))
        return y


class SeparableBlock(nn.Module):
    """A depthwise 3×3 convolution and a pointwise one."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.depthwise = ConvUnit(num_in, num_in, 3, groups=num_in)
        self.pointwise = ConvUnit(num_in, num_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, num_in, H, W] to [N, num_out, H, W]."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class DigitsNet(nn.Module):
    """8×8 grey images in 0..1 to the scores of the ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvUnit(1, 16, 3)
        self.residual = ResidualBlock(16)
        self.pool = nn.MaxPool2d(2)
        self.separable = SeparableBlock(16, 32)
        self.average = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(32 * 2 * 2, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Map [N, 1, 8, 8] to [N, 10]."""
        x = self.pool(self.residual(self.stem(image)))
        scores: Tensor = self.head(self.flatten(self.average(self.separable(x))))
        return scores


def load_images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images, test images, training labels and test labels."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=NUM_TEST, random_state=SEED, stratify=labels
    )
    return train_x, test_x, train_y, test_y


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to one pixel each way: the only augmentation used."""
    offsets = torch.randint(-1, 2, (len(images), 2), generator=generator).tolist()
    padded = functional.pad(images, (1, 1, 1, 1))
    rows = [padded[i, :, 1 + dy : 9 + dy, 1 + dx : 9 + dx] for i, (dy, dx) in enumerate(offsets)]
    return torch.stack(rows)


def train(net: DigitsNet, images: Tensor, labels: Tensor) -> None:
    """Train ``net`` in place."""
    generator = torch.Generator().manual_seed(SEED)
    num_batches = len(images) // BATCH_SIZE
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1e-2, total_steps=NUM_EPOCHS * num_batches
    )
    net.train()
    for epoch in range(NUM_EPOCHS):
        order = torch.randperm(len(images), generator=generator)
        total = 0.0
        for batch in order[: num_batches * BATCH_SIZE].split(BATCH_SIZE):
            optimiser.zero_grad()
            scores = net(shifted(images[batch], generator))
            loss = functional.cross_entropy(scores, labels[batch], label_smoothing=0.05)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / num_batches:.4f}")
    net.eval()


def export(net: DigitsNet, path: Path) -> None:
    """Write ``net`` as one ONNX file, batch size free, without paths of this machine in it."""
    program = torch.onnx.export(
        net,
        (torch.zeros(2, 1, 8, 8),),
        input_names=["image"],
        output_names=["scores"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    model.producer_version = torch.__version__.split("+")[0]
    # The exporter notes each node's module path (kept: it names layers), and the stack trace
    # and the FX graph it came from (dropped: they hold this machine's paths).
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    for part in (model, model.graph, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    """Train, check, export, and write the data files."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    train_x, test_x, train_y, test_y = load_images()

    net = DigitsNet()
    train(net, torch.from_numpy(train_x), torch.from_numpy(train_y))
    with torch.no_grad():
        right = net(torch.from_numpy(test_x)).argmax(1).numpy() == test_y
    print(f"parameters: {sum(p.numel() for p in net.parameters())}")
    print(f"accuracy on {len(test_y)} held-out images: {100 * right.mean():.2f} %")

    export(net, HERE / "digits.onnx")
    np.savez_compressed(HERE / "calibration.npz", image=train_x[:NUM_CALIBRATION])
    np.savez_compressed(HERE / "test_inputs.npz", image=test_x)
    np.savez_compressed(HERE / "test_labels.npz", label=test_y)


if __name__ == "__main__":
    main()
