"""From any state on the path of `fit`, a step of the fused trainer is a step of `fit`.

Both sides are the real thing: `Model.fit` on one batch, and the compiled program with every layer
in a form of ours where there is one.
"""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from normcraft import recipes
from normcraft.data import load_dataset

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")

BATCH, TRIES = 32, 2


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


OPTIMIZERS = {
    "adam": partial(keras.optimizers.Adam, 1e-3),
    "nesterov": partial(keras.optimizers.SGD, 0.05, momentum=0.9, nesterov=True),
    "rmsprop": partial(keras.optimizers.RMSprop, 1e-3),
}


def digits_cnn(kind):
    return recipes.digits_cnn("before_activation", kind=kind)


def mlp(kind):
    return recipes.mlp("before_activation", inputs=64, classes=10, kind=kind)


def digits_of(model):
    data = load_dataset("digits")
    x, y = data.x_train.astype("float32") / 16, data.y_train
    if len(model.input_shape) == 2:
        x, y = x.reshape(len(x), -1), keras.utils.to_categorical(y, 10)
    return x, y


class Sides:
    """One model, trained by `fit` along its own path, and by one step of the program from it."""

    def __init__(self, model, x, y):
        from normcraft.trainers.fused.forms import left_to_library, places
        from normcraft.trainers.fused.program import Program

        self.model, self.x, self.y = model, x, y
        self.fit(np.arange(BATCH))
        found = places(model, BATCH)
        own = ({part: names[-1] for part, names in place.names.items()} for place in found)
        forms = [place.form(names) for place, names in zip(found, own, strict=True)]
        chosen = [(p.layer, p.attribute, form) for p, form in zip(found, forms, strict=True)]
        self.num_forms = len(chosen)
        convolves = left_to_library(model, chosen)
        self.program = Program(model, chosen, judging=chosen, convolves=convolves)

    @property
    def variables(self):
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables

    def values(self):
        return [[np.array(variable.value) for variable in part] for part in self.variables]

    def put(self, values):
        for part, arrays in zip(self.variables, values, strict=True):
            for variable, array in zip(part, arrays, strict=True):
                variable.assign(array)

    def fit(self, rows):
        self.model.fit(
            self.x[rows], self.y[rows], batch_size=BATCH, shuffle=False, epochs=1, verbose=0
        )

    def fused(self, values, rows):
        import jax.numpy as jnp

        from normcraft.trainers.fused.feed import Chunk
        from normcraft.trainers.fused.lanes import apart, joined
        from normcraft.trainers.fused.program import State
        from normcraft.trainers.fused.rows import Rows

        state = joined([State(*values)])
        data = jnp.asarray(self.x), jnp.asarray(self.y)
        chunk = Chunk(data, Rows.of(rows[None], BATCH))
        return apart(self.program.train(state, np.ones(1, "float32"), [chunk])[0], 1)[0]

    def apart(self, rows):
        """Largest relative difference after one step of both from here, by variable."""
        before = self.values()
        self.fit(rows)
        ours, theirs = self.fused(before, rows), self.values()
        self.put(before)
        return {
            variable.path: relative(a, np.asarray(b))
            for part, first, second in zip(self.variables, theirs, ours, strict=True)
            for variable, a, b in zip(part, first, second, strict=True)
        }


def relative(a, b):
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    return np.abs(a - b).max() / (np.abs(a).max() or 1)


def check(model, x, y, *, steps, every, noise=()):
    sides, random = Sides(model, x, y), np.random.default_rng(0)
    for step in range(every, steps + 1, every):
        for _ in range(every):
            sides.fit(random.permutation(len(x))[:BATCH])
        # Now and then rounding decides on which side of a ReLU, or which of two equals, a value is;
        # that is the batch's doing, and hardly two in a row do so.
        for _ in range(TRIES):
            far = {
                path: value
                for path, value in sides.apart(random.permutation(len(x))[:BATCH]).items()
                if value > 1e-5 and not any(part in path for part in noise)
            }
            if not far:
                break
        assert not far, f"after {step} steps"
    return sides


@pytest.fixture
def steps(pytestconfig):
    return pytestconfig.getoption("--steps")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("build", [digits_cnn, mlp])
def test_with_every_optimizer(build, optimizer, steps):
    model = build("batch")
    model.compile(OPTIMIZERS[optimizer](), loss=model.loss, metrics=["accuracy"])
    # The biases of this recipe feed normalization: their gradients are rounding.
    sides = check(model, *digits_of(model), steps=steps, every=50, noise=["bias"])
    assert sides.num_forms == (7 if build is digits_cnn else 2)


@pytest.mark.parametrize("kind", ["layer", "group", "rms", "instance"])
def test_with_every_kind(kind, steps):
    model = digits_cnn(kind)
    model.compile(OPTIMIZERS["adam"](), loss=model.loss, metrics=["accuracy"])
    check(model, *digits_of(model), steps=steps, every=50)


@pytest.mark.parametrize("name", ["blog_cnn", "pooled_cnn", "emotion_cnn"])
def test_large_ones(name):
    model = getattr(recipes, name)("before_activation")
    model.compile(OPTIMIZERS["adam"](), loss=model.loss, metrics=["accuracy"])
    random = np.random.default_rng(0)
    shape, classes = model.input_shape[1:], model.output_shape[-1]
    y = random.integers(0, classes, 256)
    x = random.normal(size=(256, *shape)) * 0.3 + (y / classes)[:, None, None, None]
    # In its first steps Adam divides gradients by themselves, also those that are rounding.
    check(model, x.astype("float32"), y, steps=20, every=10)
