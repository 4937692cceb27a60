import math
from dataclasses import replace

import pytest
import torch
from small import samples

import topodiff as td
from topodiff.molecules import Split
from topodiff.nn import NormActivation
from topodiff.training import (
    Ensemble,
    FeatureScaler,
    FitConfig,
    ModelConfig,
    TrainConfig,
    build_model,
    predict_molecules,
    train_ensemble,
    train_molecules,
)

SMALL = TrainConfig(
    model=ModelConfig("cin", hidden_channels=4, num_layers=1), fit=FitConfig(epochs=2), members=2
)
WIDTHS = {0: 3}


def trained(config=SMALL, **kwargs):
    data = samples(30, **kwargs)
    return train_ensemble(data.select(range(20)), data.select(range(20, 30)), WIDTHS, config), data


def test_mean_and_spread_of_the_members():
    (ensemble, fitted), data = trained(features=2, columns=2)
    alone = [
        Ensemble(SMALL, WIDTHS, ensemble.targets, ensemble.scaler, [m]).predict(data)
        for m in ensemble.members
    ]
    both = ensemble.predict(data)
    torch.testing.assert_close(both.mean, (alone[0].mean + alone[1].mean) / 2)
    torch.testing.assert_close(both.std, (alone[0].mean - alone[1].mean).abs() / math.sqrt(2))
    assert alone[0].std.isnan().all()
    assert len(fitted) == 2


def test_member_k_is_the_model_of_seed_k():
    (pair, _), _ = trained()
    (second, _), _ = trained(replace(SMALL, members=1, fit=replace(SMALL.fit, seed=1)))
    for name, weight in second.members[0].state_dict().items():
        assert torch.equal(weight, pair.members[1].state_dict()[name])


def test_round_trip_through_a_folder(tmp_path):
    (ensemble, _), data = trained(features=3)
    replace(ensemble, about={"note": 1}).save(tmp_path)
    again = Ensemble.load(tmp_path)
    assert torch.equal(again.predict(data).mean, ensemble.predict(data).mean)
    assert again.about == {"note": 1}


def test_features_that_never_vary_are_left_out(tmp_path):
    data = samples(30)
    data = replace(data, features=torch.ones(30, 3))
    ensemble, _ = train_ensemble(
        data.select(range(20)), data.select(range(20, 30)), WIDTHS, SMALL, folder=tmp_path
    )
    ensemble.save(tmp_path)
    assert torch.equal(Ensemble.load(tmp_path).predict(data).mean, ensemble.predict(data).mean)


def test_masks_are_no_numbers():
    data = samples(30)
    for mask in (torch.ones(len(data), dtype=torch.bool), [True, False]):
        with pytest.raises(TypeError, match="masks are none"):
            data.select(mask)
    assert len(data.select([])) == 0


def test_features_must_match():
    (ensemble, _), _ = trained()
    with pytest.raises(ValueError, match="made for complexes without features"):
        ensemble.predict(samples(5, features=1))


def test_scaled_features_are_bounded_standardised_and_finite():
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(200, 3, generator=generator) * torch.tensor([1.0, 1e6, 0.0])
    train[5, 0] = math.nan
    scaler = FeatureScaler.fit(train)
    scaled = scaler(train)
    assert scaled.shape == (200, 2) == (200, scaler.width)
    assert scaled[5, 0] == 0
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(scaled.std(0), torch.ones(2), atol=0.1, rtol=0)
    extreme = scaler(torch.tensor([[1e30, math.inf, 5.0], [-1e30, math.nan, 5.0]]))
    assert extreme.tolist() == [[4.0, 0.0], [-4.0, 0.0]]


@pytest.mark.parametrize("name", ["cin", "gine", "mlp"])
@pytest.mark.parametrize("features", [0, 5])
def test_models_by_name(name, features):
    complexes = td.batch([td.from_smiles(s) for s in ("CCO", "c1ccccc1", "C")])
    sizes = {r: td.molecules.feature_set("full").sizes(r) for r in range(3)}
    model = build_model(ModelConfig(name, 8, 2), sizes, 3, features).eval()
    extra = (torch.randn(3, features),) if features else ()
    assert model(complexes, *extra).shape == (3, 3)


def test_clipped_norm_is_batch_norm_in_training_and_bounded_in_evaluation():
    torch.manual_seed(0)
    batch, clipped = (
        NormActivation(3, "batch", "identity"),
        NormActivation(3, "clipped", "identity"),
    )
    x = torch.randn(100, 3) * 2 + 1
    for _ in range(50):
        torch.testing.assert_close(clipped(x), batch(x))
    batch.eval(), clipped.eval()
    torch.testing.assert_close(clipped(x), batch(x))
    far = torch.tensor([[1000.0, -1000.0, 1.0]])
    assert batch(far).abs().max() > 100
    torch.testing.assert_close(clipped(far)[0, :2], torch.tensor([8.0, -8.0]))


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
    ],
)
def test_unusable_splits(tmp_path, split, message):
    table = td.read_table(write_table(tmp_path / "t.csv"), "smiles", "n")
    with pytest.raises(ValueError, match=message):
        train_molecules(table, split, SMALL)


def test_settings_have_known_names():
    assert TrainConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match=r"no setting of the model 'hiden_channels'; did you mean"):
        TrainConfig.from_dict({"model": {"hiden_channels": 3}})
    with pytest.raises(ValueError, match="members must be a whole number >= 1, got 0"):
        TrainConfig(members=0)
    with pytest.raises(ValueError, match="no task 'clasification'; did you mean classification"):
        TrainConfig(task="clasification")
