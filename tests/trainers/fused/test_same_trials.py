"""Short trials of models with unusual parts, by the fused trainer and by `fit`: the same records.

Parts that have nothing to do with each other share a trial, since most of it is compilation. No
bias feeds normalization: its gradient is rounding, of which Adam's likes make whole steps.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from normcraft.data import from_arrays
from normcraft.trainers import TrialData, choose_trainer
from normcraft.trainers.optimizer import learning_rate_of
from trials import assert_alike, ours_are_faster, spec_of, trainers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer"),
]

layers, losses, metrics, ops = keras.layers, keras.losses, keras.metrics, keras.ops
optimizers, schedules = keras.optimizers, keras.optimizers.schedules
N, CLASSES, BATCH = 151, 3, 30  # the last batch of an epoch is of one sample
RANDOM = np.random.default_rng(0)
Y = RANDOM.integers(0, CLASSES, N)
TABLE = (RANDOM.normal(size=(N, 12)) + Y[:, None]).astype("float32")
SERIES = (RANDOM.normal(size=(N, 6, 4)) + Y[:, None, None]).astype("float32")
TOKENS = np.clip(RANDOM.integers(0, 10, (N, 6)) + 4 * Y[:, None], 0, 19)
IMAGES = (RANDOM.normal(size=(N, 8, 8, 3)) / 2 + Y[:, None, None, None]).astype("float32")
ONE_HOT = np.eye(CLASSES, dtype="float32")[Y]


@keras.saving.register_keras_serializable("normcraft.tests")
class Fading(layers.Layer):
    """Counts its calls, adds a loss, and draws noise from a generator of its own."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.seed_generator = keras.random.SeedGenerator(7)

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, x, training=False):
        self.add_loss(1e-3 * ops.mean(ops.square(x)))
        if training:
            self.calls.assign_add(1.0)
            x += 0.1 * keras.random.normal(ops.shape(x), seed=self.seed_generator)
        return x / (1 + 0.01 * self.calls)


@keras.saving.register_keras_serializable("normcraft.tests")
def squares(y, prediction):
    return ops.mean(ops.square(ops.one_hot(ops.cast(y, "int32"), CLASSES) - prediction), -1)


@keras.saving.register_keras_serializable("normcraft.tests")
def confidence(y, prediction):
    return ops.max(prediction, axis=-1)


def stack(shape, *parts, dtype=None):
    inputs = x = keras.Input(shape, dtype=dtype)
    for part in parts:
        x = part(x)
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax", name="head")(x))


def table_model(**normalization):
    return stack(
        (12,),
        layers.Dense(8, use_bias=False, name="hidden"),
        layers.BatchNormalization(name="normalization", **normalization),
        layers.ReLU(name="relu"),
    )


def recurrent():
    return stack(
        (6,),
        layers.Embedding(20, 6, mask_zero=True, name="embedding"),
        layers.BatchNormalization(name="masked"),
        layers.LSTM(5, dropout=0.2, recurrent_dropout=0.2, name="lstm"),
        dtype="int32",
    )


def attentive():
    inputs = keras.Input((6, 4))
    x = layers.MultiHeadAttention(2, 4, dropout=0.1, name="heads")(inputs, inputs)
    x = layers.Attention(name="attention")([layers.LayerNormalization(name="norm")(x), x])
    x = layers.Flatten(name="flatten")(ops.tanh(x) * 2 + 1)
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax", name="head")(x))


def shared_and_nested():
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(3, 3, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(name="normalization"),
            layers.SpatialDropout2D(0.2, name="dropout"),
        ],
        name="inner",
    )
    inner.compile("sgd", "mse", metrics=["mae"])
    inputs = keras.Input((8, 8, 3))
    x = layers.MaxPooling2D(name="pool")(inner(inner(inputs)))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax", name="head")(x))


def regularizing():
    return stack(
        (12,),
        layers.SpectralNormalization(layers.Dense(8, name="wrapped"), name="spectral"),
        layers.GaussianNoise(0.1, name="noise"),
        layers.GaussianDropout(0.2, name="gaussian"),
        layers.Dense(8, "selu", kernel_constraint="max_norm", name="constrained"),
        layers.AlphaDropout(0.1, name="alpha"),
        Fading(name="fading"),
    )


def two_outputs():
    inputs = keras.Input((12,))
    x = layers.Dense(8, "relu", name="hidden")(inputs)
    outputs = {
        "kind": layers.Dense(CLASSES, name="kind")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    return keras.Model(inputs, outputs)


def binary():
    inputs = keras.Input((12,))
    x = layers.Dense(8, "relu", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(1, "sigmoid", name="head")(x))


def in_policy(name):
    keras.config.set_dtype_policy(name)
    try:
        return table_model()
    finally:
        keras.config.set_dtype_policy("float32")


def adam(**settings):
    return optimizers.Adam(1e-3, **settings)


def wrapped_schedule():
    sgd = optimizers.SGD(schedules.CosineDecay(0.01, 20, warmup_target=0.1, warmup_steps=4))
    return optimizers.LossScaleOptimizer(sgd, initial_scale=4.0, dynamic_growth_steps=3)


CLASS_LOSS = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
BINARY = {
    "loss": "binary_crossentropy",
    "metrics": [metrics.AUC(), metrics.Precision(), metrics.Recall()],
}
TWO = {
    "loss": {"kind": losses.SparseCategoricalCrossentropy(from_logits=True), "size": "mae"},
    "loss_weights": {"kind": 1.0, "size": 0.3},
    "metrics": {"kind": ["accuracy"], "size": [metrics.R2Score()]},
}
MODELS = {
    "recurrent, Lion": (recurrent, TOKENS, Y, optimizers.Lion, CLASS_LOSS),
    "attention, AdamW": (attentive, SERIES, Y, optimizers.AdamW, CLASS_LOSS),
    "shared in a compiled part, Nadam": (
        shared_and_nested, IMAGES, Y, optimizers.Nadam, CLASS_LOSS
    ),
    "noise, constraints and states, a loss of one's own": (
        regularizing, TABLE, Y, adam, {"loss": squares, "metrics": [confidence, "accuracy"]}
    ),
    "outputs by name, clipped": (
        two_outputs, TABLE, {"size": TABLE[:, :1], "kind": Y},
        lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, global_clipnorm=0.1), TWO
    ),
    "metrics of thresholds, Adafactor": (
        binary, TABLE.astype("float64"), Y > 0, lambda: optimizers.Adafactor(0.01), BINARY
    ),
    "metrics of classes, gathered gradients": (
        table_model, TABLE, ONE_HOT, lambda: adam(gradient_accumulation_steps=3),
        {
            "loss": losses.CategoricalFocalCrossentropy(label_smoothing=0.1),
            "metrics": [metrics.F1Score("macro"), metrics.AUC(multi_label=True)],
            "weighted_metrics": ["categorical_accuracy"],
        },
    ),
    "renormalization, Muon": (
        lambda: table_model(renorm=True), TABLE, Y, lambda: optimizers.Muon(0.01), CLASS_LOSS
    ),
    "bytes, a schedule inside of a scaled loss": (
        table_model, (20 * TABLE).clip(0, 255).astype("uint8"), Y, wrapped_schedule, CLASS_LOSS
    ),
    "float16, decayed weights": (
        lambda: in_policy("float16"), TABLE, Y,
        lambda: optimizers.SGD(0.01, weight_decay=0.1, clipnorm=1.0), CLASS_LOSS
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_trial_is_that_of_fit(name):
    build, x, y, optimizer, settings = MODELS[name]
    keras.utils.set_random_seed(0)
    model, data = build(), from_arrays(x, y)
    model.compile(optimizer(), **settings)
    assert choose_trainer("auto", [model], data) == ("fused", None)
    both = trainers(model, data, speeds=ours_are_faster(model, BATCH), batch_size=BATCH)
    # Another rate than that of the model, which a schedule is scaled to.
    rate = 2 * learning_rate_of(model.optimizer)
    spec = spec_of("a", rate=rate, batch_size=BATCH, steps_per_epoch=None)
    trial = TrialData.of_seed(data, 0)
    assert len(trial.rows) % BATCH == 1
    assert_alike(*(trainer.train(spec, trial) for trainer in both))
