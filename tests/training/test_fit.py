import math
from dataclasses import replace

import pytest
import torch
from small import Pooled, samples
from torch import nn

from topodiff.training import FitConfig, NonFiniteError, Samples, Targets, fit, predict
from topodiff.training.schedule import cosine_factor

FAST = FitConfig(epochs=30, batch_size=8, learning_rate=0.03)


def parts(n=80, **kwargs):
    data = samples(n, **kwargs)
    cut = n * 3 // 4
    return data.select(range(cut)), data.select(range(cut, n))


def run(config=FAST, model=None, tasks="auto", data=None, **kwargs):
    train, valid = data or parts(**kwargs)
    torch.manual_seed(0)
    columns = train.y.shape[1]
    features = 0 if train.features is None else train.features.shape[1]
    model = model or Pooled(columns=columns, features=features)
    return fit(model, train, valid, Targets.fit(train.y, tasks=tasks), config)


@pytest.mark.parametrize("loss", ["l1", "l2", "huber"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_learns_a_linear_target(loss, average):
    done = run(replace(FAST, loss=loss, average=average))
    assert done.metric == "rmse"
    assert done.score < 0.4 * parts()[1].y.std()
    assert done.status == "finished"


def test_keeps_the_weights_of_the_best_epoch():
    done = run()
    valid = parts()[1]
    best = min(done.history, key=lambda r: r["valid"]["rmse"])
    assert done.best_epoch == best["epoch"]
    targets = Targets.fit(parts()[0].y)
    error = (targets.unscale(predict(done.model, valid)) - valid.y).square().mean().sqrt()
    assert error.item() == pytest.approx(done.score) == pytest.approx(best["valid"]["rmse"])


def test_whole_numbers_are_learnt_from_as_well():
    train, valid = (replace(part, y=part.y.round()) for part in parts())
    whole = tuple(replace(part, y=part.y.long()) for part in (train, valid))
    assert run(data=whole).history == run(data=(train, valid)).history


def test_missing_targets_and_features():
    done = run(columns=3, missing=0.4, features=2)
    assert done.metric == "loss"
    assert done.score < 0.5


def test_classification_selects_by_roc_auc():
    train, valid = parts(columns=2, missing=0.2)
    binary = [
        Samples(s.complexes, torch.where(s.y.isnan(), s.y, (s.y > 5).float()))
        for s in (train, valid)
    ]
    done = run(data=binary)
    assert done.metric == "roc_auc"
    assert done.score > 0.9


def test_one_class_in_the_validation_set():
    train, valid = parts()
    train = Samples(train.complexes, (train.y > 5).float())
    valid = Samples(valid.complexes, torch.ones_like(valid.y))
    assert run(data=(train, valid)).metric == "loss"
    with pytest.raises(ValueError, match="roc_auc of y0 is not defined on the validation set"):
        run(replace(FAST, metric="roc_auc"), data=(train, valid))


def test_same_seed_same_weights_and_other_seed_others():
    first, second, third = run(), run(), run(replace(FAST, seed=1))
    assert first.history == second.history
    assert torch.equal(first.model.out.weight, second.model.out.weight)
    assert first.history != third.history


def test_early_stop_and_plateau_end_before_the_last_epoch():
    stopped = run(replace(FAST, epochs=500, schedule="constant", patience=5))
    assert stopped.status == "early stop"
    assert len(stopped.history) == stopped.best_epoch + 5
    slow = run(replace(FAST, epochs=500, schedule="plateau", plateau_patience=1, minimal_rate=1e-3))
    assert slow.status == "lowest rate"
    assert 1e-3 <= slow.history[-1]["learning_rate"] < 2e-3  # half of it is too low


def test_cosine_rises_and_falls_to_zero():
    factors = [cosine_factor(i, 100, 0.1) for i in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[54] == pytest.approx(0.5)
    assert factors[-1] == 0
    assert run().history[-1]["learning_rate"] == 0


def test_non_finite_loss_names_epoch_batch_and_row():
    train, valid = parts()
    x = train.complexes.x[0].clone()
    x[train.complexes.ptr[0][7]] = math.inf
    lines = [100 + i for i in range(len(train))]
    broken = Samples(train.complexes.replace(x={0: x}), train.y, lines=lines)
    with pytest.raises(NonFiniteError, match=r"in epoch 1, batch \d of 8, from line 107;"):
        run(data=(broken, valid))
    with pytest.raises(NonFiniteError, match="not finite after epoch 1, for validation line 107"):
        run(data=(valid, broken))


def test_divergence_ends_with_an_error():
    class Exploding(Pooled):
        def forward(self, complexes, features=None):
            return super().forward(complexes) * 1e30

    with pytest.raises(NonFiniteError, match="epoch 1, batch 1"):
        run(model=Exploding())


def test_non_finite_gradient_is_found():
    class Sharp(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, complexes):
            return self.w.sqrt().expand(len(complexes), 1)

    with pytest.raises(NonFiniteError, match=r"the gradient is (inf|nan) while the loss is"):
        run(model=Sharp())


def test_no_batch_of_one_is_left_over():
    sizes = []

    class Counting(Pooled):
        def forward(self, complexes, features=None):
            sizes.append(len(complexes))
            return super().forward(complexes)

    data = samples(43)
    run(replace(FAST, epochs=1), Counting(), data=(data.select(range(33)), data.select([33, 34])))
    assert sorted(sizes) == [2, 6, 6, 7, 7, 7]


def test_bad_samples_and_settings():
    data = samples(6)
    empty = Samples(data.complexes)
    with pytest.raises(ValueError, match="validation set needs at least one complex and targets"):
        run(data=(data, empty))
    unknown = Samples(data.complexes, torch.full_like(data.y, math.nan))
    with pytest.raises(ValueError, match="no target is known in the validation set"):
        run(data=(data, unknown))
    with pytest.raises(ValueError, match=r"y of 6 complexes has shape \(6, columns\), got \(6,\)"):
        Samples(data.complexes, data.y[:, 0])
    with pytest.raises(ValueError, match="loss must be one of l1, l2, huber; got 'L3'"):
        FitConfig(loss="L3")
    with pytest.raises(ValueError, match="epochs must be a whole number >= 1, got 0"):
        FitConfig(epochs=0)
    with pytest.raises(ValueError, match=r"epochs must be a whole number >= 1, got 2\.5"):
        FitConfig(epochs=2.5)
    with pytest.raises(ValueError, match="learning_rate is finite and not negative, got nan"):
        FitConfig(learning_rate=math.nan)
    with pytest.raises(ValueError, match="learning_rate is finite and not negative, got inf"):
        FitConfig(learning_rate=math.inf)
    with pytest.raises(TypeError, match="learning_rate is a number, got '1e-3'"):
        FitConfig(learning_rate="1e-3")
    with pytest.raises(ValueError, match=r"plateau_factor is in \(0, 1\), got 2"):
        FitConfig(plateau_factor=2)
    with pytest.raises(ValueError, match=r"no setting 'epoch'; did you mean epochs\?"):
        FitConfig.from_dict({"epoch": 3})
    assert FitConfig.from_dict(FAST.to_dict()) == FAST
