import math
from dataclasses import replace

import pytest
import torch
from small import SMALL, samples

import topodiff as td
from topodiff.nn import NormActivation
from topodiff.training import (
    Ensemble,
    FeatureScaler,
    FitConfig,
    ModelConfig,
    TrainConfig,
    build_model,
    checkpoint,
    train_ensemble,
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
    with pytest.raises(TypeError, match=r"takes Samples, got CellComplex: .*topodiff\.batch"):
        ensemble.predict(td.from_smiles("CCO"))


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.pop("scaler"), "is no trained model, but another file"),
        (lambda s: s["config"]["model"].update(foo=1), "of topodiff 9.9, does not fit topodiff"),
        (lambda s: s["config"]["model"].update(norm="foo"), "does not fit.*norm"),
        (lambda s: s["members"][0].popitem(), "does not fit.*Missing key"),
        (lambda s: s["targets"].pop("std"), "does not fit"),
        (lambda s: s.update(in_channels=3), "does not fit"),
    ],
)
def test_models_that_do_not_fit_say_so_in_a_line(tmp_path, damage, message):
    (ensemble, _), _ = trained()
    ensemble.save(tmp_path)
    state = checkpoint.load(tmp_path / "predictor.ckpt")
    state["versions"]["topodiff"] = "9.9"
    damage(state)
    checkpoint.save(tmp_path / "predictor.ckpt", state)
    with pytest.raises(ValueError, match=message) as refused:
        Ensemble.load(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_list_is_no_model(tmp_path):
    checkpoint.save(tmp_path / "predictor.ckpt", [1, 2])
    with pytest.raises(ValueError, match="is no trained model"):
        Ensemble.load(tmp_path)


def test_the_last_seed_is_checked_before_training():
    with pytest.raises(ValueError, match=r"fit.seed \+ members - 1 must be a whole number"):
        TrainConfig(fit=FitConfig(seed=2**63 - 1), members=2)
    with pytest.raises(TypeError, match="model is a ModelConfig, got 'gine'"):
        TrainConfig(model="gine")


def test_settings_have_known_names():
    assert TrainConfig.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ValueError, match=r"no setting of the model 'hiden_channels'; did you mean"):
        TrainConfig.from_dict({"model": {"hiden_channels": 3}})
    with pytest.raises(ValueError, match="no norm 'foo'; known: batch, clipped, layer, none"):
        ModelConfig(norm="foo")
    with pytest.raises(TypeError, match="dropout is a number, got '0'"):
        ModelConfig(dropout="0")
    with pytest.raises(ValueError, match="no readout 'max'; known: sum, mean"):
        ModelConfig(readout="max")
    with pytest.raises(ValueError, match="members must be a whole number >= 1, got 0"):
        TrainConfig(members=0)
    with pytest.raises(ValueError, match="no task 'clasification'; did you mean classification"):
        TrainConfig(task="clasification")
