"""Where models are trained and predict."""

from dataclasses import replace

import pytest
import torch
from small import SMALL, samples

import topodiff as td
from topodiff.molecules import Split
from topodiff.training import (
    Ensemble,
    predict_molecules,
    train_ensemble,
    train_molecules,
)

SPLIT = Split(list(range(16)), list(range(16, 20)), list(range(20, 24)))


@pytest.fixture
def table(tmp_path):
    rows = [f"{'C' * n}{end},{n}" for n in range(1, 9) for end in ("O", "N", "C1CC1")]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["smiles,n", *rows]))
    return td.read_table(path, target_columns="n")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_molecules_on_a_gpu(table, tmp_path):
    ensemble, fitted = train_molecules(table, SPLIT, SMALL, folder=tmp_path, device="cuda")
    assert all(p.is_cuda for member in ensemble.members for p in member.parameters())
    assert len(fitted[0].history) == 2
    ensemble.save(tmp_path)
    found = predict_molecules(Ensemble.load(tmp_path, "cuda"), table)
    on_cpu = predict_molecules(Ensemble.load(tmp_path), table)
    torch.testing.assert_close(found.mean, on_cpu.mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.std, on_cpu.std, rtol=1e-2, atol=1e-3)


def test_the_cpu_can_be_named(table, tmp_path):
    config = replace(SMALL, descriptors=False)
    named, _ = train_molecules(table, SPLIT, config, device=torch.device("cpu"))
    plain, _ = train_molecules(table, SPLIT, config)
    named.save(tmp_path)
    again = Ensemble.load(tmp_path, "cpu")
    assert torch.equal(predict_molecules(again, table).mean, predict_molecules(plain, table).mean)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "device is cpu, cuda or cuda:NUMBER, got 'tpu'"),
        ("meta", "device is cpu, cuda or cuda:NUMBER, got 'meta'"),
        ("cuda", r"no device 'cuda' \(none that torch can use here\): take cpu"),
        ("cuda:1", "no device 'cuda:1'"),
    ],
)
def test_devices_that_are_not_there_are_refused_before_any_work(
    table, tmp_path, monkeypatch, device, message
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(td.training.molecules, "molecule_samples", None)  # not to be called
    data = samples(20)
    with pytest.raises(ValueError, match=message):
        train_molecules(table, SPLIT, SMALL, device=device)
    with pytest.raises(ValueError, match=message):
        train_ensemble(data, data, {0: 3}, SMALL, device=device)
    with pytest.raises(ValueError, match=message):
        Ensemble.load(tmp_path, device)
