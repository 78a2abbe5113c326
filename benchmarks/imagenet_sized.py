"""MobileNetV2 and ResNet-18 for 224x224 images, with random weights, as PyTorch modules.

Sources of the shapes: Sandler et al., "MobileNetV2", 2018, table 2; He et al., "Deep Residual
Learning for Image Recognition", 2016, table 1.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


class Residual(nn.Module):
    """A body with a way around it."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.last = body, shortcut, last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both ways."""
        return self.last(self.body(x) + self.shortcut(x))


def convolution(
    inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution that keeps the image's size, and its normalisation."""
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


def resnet18() -> nn.Module:
    """Return ResNet-18."""
    layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    width = 64
    for stage in range(4):
        for block in range(2):
            outputs, stride = 64 << stage, 2 if stage and not block else 1
            first = convolution(width, outputs, 3, stride)
            body = nn.Sequential(first, nn.ReLU(), convolution(outputs, outputs, 3))
            same = stride == 1 and width == outputs
            shortcut = nn.Identity() if same else convolution(width, outputs, 1, stride)
            layers.append(Residual(body, shortcut, nn.ReLU()))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000))


def mobilenet_v2() -> nn.Module:
    """Return MobileNetV2 at width 1."""
    layers: list[nn.Module] = [convolution(3, 32, 3, 2), nn.ReLU6()]
    width = 32
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
    for expansion, outputs, count, first in (*table, (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(count):
            stride, inner = 1 if block else first, width * expansion
            body = [convolution(width, inner, 1), nn.ReLU6()] if expansion > 1 else []
            body += [convolution(inner, inner, 3, stride, inner), nn.ReLU6()]
            whole = nn.Sequential(*body, convolution(inner, outputs, 1))
            is_same = stride == 1 and width == outputs
            layers.append(Residual(whole, nn.Identity(), nn.Identity()) if is_same else whole)
            width = outputs
    layers += [convolution(width, 1280, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, 1000))


NETWORKS = {"resnet18": resnet18, "mobilenet_v2": mobilenet_v2}


def export(name: str, path: Path) -> None:
    """Write a network as an ONNX file."""
    torch.manual_seed(0)
    module = NETWORKS[name]().eval()
    example = torch.zeros(1, 3, 224, 224)
    torch.onnx.export(module, (example,), str(path), dynamo=False, input_names=["x"])
