"""Whole trainings by the fused trainer end as those by `fit` do: their curves, and our verdict.

Longer trainings drift apart by rounding, two runs of `fit` as well: where `fit` begins with weights
that are moved by one unit in the last place, its curves spread. Those of the fused trainer may
leave that of `fit` by twice as much.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from comparisons import make_arm
from normcraft import recipes
from normcraft.data import from_arrays, load_dataset
from normcraft.studies.summarize import summarize
from normcraft.trainers import FitTrainer, TrialData
from normcraft.trainers.optimizer import learning_rate_of
from trials import ours_are_faster, spec_of, trainers

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")

NUDGES, TRIES = 4, 3
# What rounding of the curve itself does to its logarithm: a few units of float32.
ROUNDING = 8 * np.finfo("float32").eps
OPTIMIZERS = {
    "adam": partial(keras.optimizers.Adam, 1e-3),
    "momentum": partial(keras.optimizers.SGD, 0.05, momentum=0.9),
}


class NudgedFit(FitTrainer):
    """`fit` from weights that are moved by one unit in the last place, up or down at random."""

    nudge: int | None = None

    def _begin(self, trials):
        super()._begin(trials)
        if self.nudge is None:
            return
        random = np.random.default_rng(self.nudge)
        for variable in self.model.trainable_variables:
            ways = random.choice([-np.inf, np.inf], variable.shape).astype("float32")
            variable.assign(np.nextafter(np.array(variable.value), ways))


def digits_cnn():
    return recipes.digits_cnn(), load_dataset("digits")


def mlp(dropout=0.5):
    digits = load_dataset("digits")
    x, y = digits.x_train.reshape(-1, 64), keras.utils.to_categorical(digits.y_train, 10)
    return recipes.mlp("none", inputs=64, classes=10, dropout=dropout), from_arrays(x, y)


def sides(build, placement, optimizer):
    """The fused trainer with forms of ours, `fit`, and the data."""
    model, data = build()
    model.compile(optimizer(), model.loss, metrics=["accuracy"])
    return *trainers(model, data, placement, speeds=ours_are_faster(model), fit=NudgedFit), data


def curve(trainer, data, seed, epochs, **changes):
    """Logarithms of the losses, so that they are looked at alike where they are large or small."""
    rate = learning_rate_of(trainer.model.optimizer)
    spec = spec_of("a", seed=seed, rate=rate, epochs=epochs, steps_per_epoch=None)
    record = trainer.train(replace(spec, **changes), TrialData.of_seed(data, seed))
    assert record.outcome == "finished"
    return np.log([[point.loss, point.validation_loss] for point in record.curve])


def curves_of_fit(fit, data, seed, epochs):
    """The curve of `fit`, and how far it may be left."""
    curves = []
    for fit.nudge in (None, *range(NUDGES)):
        curves.append(curve(fit, data, seed, epochs))
    # Paths that have parted stay apart, also where their curves happen to cross.
    spread = np.maximum.accumulate(np.ptp(curves, axis=0))
    return curves[0], 2 * spread + ROUNDING


def check(build, placement, optimizer, *, epochs):
    fused, fit, data = sides(build, placement, optimizer)
    # Now and then rounding decides on which side of a ReLU a value is, and one path alone parts
    # from all others; hardly in every trial.
    for seed in range(TRIES):
        theirs, allowed = curves_of_fit(fit, data, seed, epochs)
        apart = np.abs(curve(fused, data, seed, epochs) - theirs)
        if (apart <= allowed).all():
            return
    pytest.fail(f"apart by {apart.tolist()}, allowed {allowed.tolist()}")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("placement", ["as_given", "before_activation"])
@pytest.mark.parametrize("build", [digits_cnn, mlp])
def test_curves_stay_within_twice_the_spread_of_fit(build, placement, optimizer):
    check(build, placement, OPTIMIZERS[optimizer], epochs=5)


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["as_given", "before_activation"])
def test_so_do_those_of_a_larger_network_on_real_images(mnist_file, placement):
    with np.load(mnist_file) as file:
        x, y = file["x_train"][:640, ..., None] / 255, file["y_train"][:640]

    def blog_cnn():
        return recipes.blog_cnn(), from_arrays(x.astype("float32"), y.astype("int64"))

    check(blog_cnn, placement, OPTIMIZERS["adam"], epochs=2)


@cache
def mlp_by_fit():
    _, fit, data = sides(mlp, "before_activation", OPTIMIZERS["momentum"])
    return curves_of_fit(fit, data, 0, 3)


def other_momentum(trainer):
    for layer in trainer.model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.98


MISTAKES = {
    "rate": (mlp, lambda trainer: None, {"learning_rate": 0.0505}),
    "momentum of statistics": (mlp, other_momentum, {}),
    "dropout": (partial(mlp, dropout=0.49), lambda trainer: None, {}),
    "order": (mlp, lambda trainer: None, {"shuffle": False}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_does_not_stay_within_it(mistake):
    build, spoil, changes = MISTAKES[mistake]
    fused, _, data = sides(build, "before_activation", OPTIMIZERS["momentum"])
    spoil(fused)
    theirs, allowed = mlp_by_fit()
    apart = np.abs(curve(fused, data, 0, 3, **changes) - theirs)
    assert (apart > 10 * allowed).any()


def test_over_eight_seeds_our_own_verdict_finds_them_equal():
    fused, fit, data = sides(digits_cnn, "before_activation", OPTIMIZERS["adam"])
    records = []
    for seed in range(8):
        trial = TrialData.of_seed(data, seed)
        for name, trainer in (("fit", fit), ("fused", fused)):
            spec = spec_of(name, seed=seed, rate=1e-3, epochs=4, steps_per_epoch=None)
            records.append(trainer.train(spec, trial))
    verdict, (by_fit, _) = summarize(
        [make_arm(name) for name in ("fit", "fused")], records, baseline="fit",
        higher_is_better=True, smallest_effect=None, as_fraction=True, metric="accuracy",
    )  # fmt: skip
    assert by_fit.mean > 0.95, "they have learned"
    assert verdict.outcome == "equal", verdict
