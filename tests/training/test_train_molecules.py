"""From tables of molecules to ensembles and predictions, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SMALL, samples

import topodiff as td
from topodiff.molecules import Split
from topodiff.molecules.descriptors import NAMES, descriptors
from topodiff.training import (
    Ensemble,
    checkpoint,
    predict_molecules,
    train_ensemble,
    train_molecules,
)
from topodiff.training import molecules as training_molecules


def write_table(path):
    rows = [f"{'C' * n}{end},{n}" for n in range(1, 9) for end in ("O", "N", "Cl")]
    path.write_text("\n".join(["smiles,n", *rows]))
    return path


def test_molecules_must_be_lifted_as_in_training(tmp_path):
    path = write_table(tmp_path / "t.csv")
    table = td.read_table(path, "smiles", "n", max_ring_size=7)
    split = Split(list(range(16)), list(range(16, 20)), list(range(20, 24)))
    config = replace(SMALL, descriptors=False)
    ensemble, _ = train_molecules(table, split, config)
    assert predict_molecules(ensemble, table).mean.shape == (24, 1)
    with pytest.raises(ValueError, match="know molecules read with max_ring_size=7"):
        predict_molecules(ensemble, td.read_table(path))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split([0, 1, 2], [], [3]), "the val part of the split of 24 molecules is empty"),
        (Split([0, 1, 2], [2], []), "in two parts"),
        (Split([0, 1, 2], [24], []), "beyond the 24 of the table"),
        (Split([0, 1, 1], [2], []), "twice in the train part"),
    ],
)
def test_unusable_splits(tmp_path, split, message):
    table = td.read_table(write_table(tmp_path / "t.csv"), "smiles", "n")
    with pytest.raises(ValueError, match=message):
        train_molecules(table, split, SMALL)


@pytest.fixture
def described(tmp_path):
    """A table, and an ensemble that takes descriptors of its molecules."""
    table = td.read_table(write_table(tmp_path / "t.csv"), "smiles", "n")
    split = Split(list(range(16)), list(range(16, 20)), list(range(20, 24)))
    return table, train_molecules(table, split, replace(SMALL, members=1))[0]


def other_rdkit(monkeypatch, order, extra=()):
    """As if RDKit listed the descriptors in this order, and some more."""
    names = tuple(NAMES[i] for i in order) + tuple(extra)

    def described(smiles, num_workers=0):
        values = descriptors(smiles)[:, order]
        return torch.cat([values, torch.full((len(values), len(extra)), 3.0)], 1)

    monkeypatch.setattr(training_molecules, "NAMES", names)
    monkeypatch.setattr(training_molecules, "descriptors", described)


def test_descriptors_go_by_name(described, monkeypatch, tmp_path):
    table, ensemble = described
    before = predict_molecules(ensemble, table).mean
    ensemble.save(tmp_path)
    other_rdkit(monkeypatch, [*range(len(NAMES))][::-1], ["New"])
    assert torch.equal(predict_molecules(Ensemble.load(tmp_path), table).mean, before)


def test_a_descriptor_that_is_gone_is_named(described, monkeypatch):
    table, ensemble = described
    other_rdkit(monkeypatch, range(1, len(NAMES)), ["New"])
    message = f"with RDKit .* on the descriptor '{NAMES[0]}', which RDKit .* does not have"
    with pytest.raises(ValueError, match=message):
        predict_molecules(ensemble, table)
    with pytest.raises(ValueError, match=f"missing here, such as '{NAMES[0]}'"):
        ensemble.predict(training_molecules.molecule_samples(table))


def test_models_of_other_features_are_refused(described, tmp_path):
    table, ensemble = described
    ensemble.save(tmp_path)
    state = checkpoint.load(tmp_path / "predictor.ckpt")
    del state["versions"]["features"]  # as they were written before
    checkpoint.save(tmp_path / "predictor.ckpt", state)
    with pytest.raises(
        ValueError, match=r"features .* in version 1, and this topodiff has version"
    ):
        predict_molecules(Ensemble.load(tmp_path), table)


def test_splits_of_arrays_and_tensors(tmp_path):
    table = td.read_table(write_table(tmp_path / "t.csv"), "smiles", "n")
    config = replace(SMALL, descriptors=False)
    lists = Split(list(range(16)), list(range(16, 20)), [])
    arrays = Split(np.arange(16), torch.arange(16, 20), np.array([]))
    found = [train_molecules(table, split, config)[1][0].history for split in (lists, arrays)]
    assert found[0] == found[1]
    with pytest.raises(TypeError, match=r"train part must be whole numbers, got torch\.bool"):
        train_molecules(table, lists._replace(train=np.ones(24, bool)), config)


def test_another_rdkit_is_a_warning_where_descriptors_are_used(described, recwarn):
    table, ensemble = described
    predict_molecules(ensemble, table)
    assert not recwarn
    old = {**ensemble.versions, "rdkit": "2024.03.1"}
    with pytest.warns(UserWarning, match=r"RDKit 2024.03.1, .* install rdkit==2024.03.1"):
        predict_molecules(replace(ensemble, versions=old), table)


def test_a_list_is_no_table(described):
    with pytest.raises(TypeError, match=r"takes a table, got list: .*table_from_smiles"):
        predict_molecules(described[1], ["CCO"])


def test_energies_with_a_large_offset_are_learnt():
    smiles = [f"{'C' * n}{end}" for n in range(1, 9) for end in ("O", "N", "Cl")]
    energies = [-19444.0 + len(s) / 1000 for s in smiles]
    table = td.molecules.table_from_smiles(smiles, {"E": energies})
    split = Split(list(range(16)), list(range(16, 20)), [])
    config = replace(SMALL, descriptors=False)
    ensemble, _ = train_molecules(table, split, config)
    mean, std = predict_molecules(ensemble, table)
    assert mean.std() > 1e-5
    assert std.min() > 0


def test_molecules_read_as_only_a_later_version_can(tmp_path):
    table = td.read_table(write_table(tmp_path / "t.csv"))
    data = samples(30)
    ensemble, _ = train_ensemble(data.select(range(20)), data.select(range(20, 30)), {0: 3}, SMALL)
    with pytest.raises(ValueError, match="read with aromatic=True, which this version"):
        predict_molecules(replace(ensemble, about={"aromatic": True}), table)


def test_samples_must_be_those_of_the_settings(tmp_path):
    table = td.read_table(write_table(tmp_path / "t.csv"), "smiles", "n")
    split = Split(list(range(16)), list(range(16, 20)), [])
    samples = training_molecules.molecule_samples(table, False)
    with pytest.raises(ValueError, match="have descriptors=True"):
        train_molecules(table, split, SMALL, samples=samples)
    config = replace(SMALL, descriptors=False)
    with pytest.raises(ValueError, match="20 samples are not those of a table of 24"):
        train_molecules(table, split, config, samples=samples.select(range(20)))
