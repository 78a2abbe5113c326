"""Compare the outputs of a run with the labels of the held-out images.

python examples/digits/score.py OUTPUTS.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Print the share of images whose highest score is that of the right digit."""
    with np.load(sys.argv[1]) as outputs, np.load(HERE / "test_labels.npz") as labels:
        (name,) = outputs.files
        found, right = outputs[name], labels["label"]
    if len(found) != len(right):
        sys.exit(f"{sys.argv[1]} has {len(found)} outputs; there are {len(right)} held-out images")
    found = found.reshape(len(found), -1)
    digits = found.argmax(axis=1) if found.shape[1] > 1 else found[:, 0]
    num_right = int((digits == right).sum())
    print(
        f"{num_right} of {len(right)} held-out images right: {100 * num_right / len(right):.2f} %"
    )


if __name__ == "__main__":
    main()
