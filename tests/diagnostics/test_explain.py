"""What explain says is what NumPy says in float64, on models trained at random."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft._core.errors import InputError, SurgeryError
from normcraft.diagnostics import explain_model
from normcraft.layers import BatchNormalization, GhostBatchNormalization
from normcraft.surgery import place
from strategies import randomise, untouched
from tolerances import assert_close

BACKEND = keras.backend.backend()
needs_training = pytest.mark.skipif(BACKEND == "numpy", reason="NumPy does not train")


def trained(model: keras.Model, steps: int = 24, seed: int = 0) -> tuple[keras.Model, list]:
    """The model after some steps on random data, and inputs to look at."""
    generator = np.random.default_rng(seed)
    x = [
        generator.integers(0, 5, (40, *t.shape[1:])).astype(t.dtype)
        if "int" in t.dtype
        else generator.normal(1.0, 2.0, (40, *t.shape[1:])).astype("float32")
        for t in model.inputs
    ]
    randomise(model, seed)
    if BACKEND != "numpy":
        y = generator.normal(size=(40, *model.outputs[0].shape[1:])).astype("float32")
        model.compile(keras.optimizers.SGD(0.01, global_clipnorm=1.0), "mse")
        for step in range(steps):
            rows = slice(8 * (step % 5), 8 * (step % 5) + 8)
            model.train_on_batch([a[rows] for a in x] if len(x) > 1 else x[0][rows], y[rows])
    return model, x


def first(x):
    return [array[:32] for array in x]


def moments(x, axis=-1):
    rows = np.moveaxis(np.asarray(x, "float64"), axis, -1).reshape(-1, x.shape[axis])
    return rows.mean(0), ((rows - rows.mean(0)) ** 2).mean(0), len(rows)


def seen_by(model, tensors, x, *, training):
    """What Keras computes at some tensors, on a copy of the model."""
    probe = keras.Model(model.inputs, tensors)
    values = probe(first(x), training=training)
    return [np.asarray(ops.convert_to_numpy(v), "float64") for v in keras.tree.flatten(values)]


def mlp() -> keras.Model:
    chain = [keras.Input((6,)), layers.Dense(8, name="a"), layers.BatchNormalization(name="n1")]
    chain += [layers.Activation("tanh"), layers.Dropout(0.5), layers.Dense(5, name="b")]
    chain += [layers.BatchNormalization(momentum=0.9, epsilon=0.05, name="n2"), layers.ReLU()]
    return keras.Sequential([*chain, layers.Dense(3, name="head")])


def forward(model, x, *, training):
    """The model of `mlp` in float64, dropout off: what n1 and n2 receive and give, the output."""
    weights = {w.path: np.asarray(ops.convert_to_numpy(w), "float64") for w in model.weights}
    weight = {"/".join(path.split("/")[-2:]): value for path, value in weights.items()}

    def normalize(value, name, epsilon):
        mean, variance = value.mean(0), value.var(0)
        if not training:
            mean, variance = weight[f"{name}/moving_mean"], weight[f"{name}/moving_variance"]
        unit = (value - mean) / np.sqrt(variance + epsilon)
        return unit, unit * weight[f"{name}/gamma"] + weight[f"{name}/beta"]

    a = x @ weight["a/kernel"] + weight["a/bias"]
    unit_1, n1 = normalize(a, "n1", 1e-3)
    b = np.tanh(n1) @ weight["b/kernel"] + weight["b/bias"]
    unit_2, n2 = normalize(b, "n2", 0.05)
    out = np.maximum(n2, 0) @ weight["head/kernel"] + weight["head/bias"]
    return {"n1": (a, unit_1, n1), "n2": (b, unit_2, n2)}, out


def apart(a, b):
    return np.max(np.abs(a - b)) / np.max(np.abs(a)), np.mean(np.abs(a - b)) / np.mean(np.abs(a))


@needs_training
def test_every_number_is_that_of_a_float64_computation_of_the_whole_model():
    model, x = trained(mlp())
    with untouched(model):
        found = explain_model(model, x[0])
    data = x[0][:32].astype("float64")
    train, out_train = forward(model, data, training=True)
    infer, out_infer = forward(model, data, training=False)
    for layer, momentum, epsilon in zip(found.layers, (0.99, 0.9), (1e-3, 0.05), strict=True):
        received, unit, gave = train[layer.name]
        gave_infer = infer[layer.name][2]
        assert_close(layer.mean, received.mean(0))
        assert_close(layer.variance, received.var(0))
        assert_close(layer.inference_mean, infer[layer.name][0].mean(0))
        assert_close(layer.inference_variance, infer[layer.name][0].var(0))
        keras_layer = model.get_layer(layer.name)
        for name in ("moving_mean", "moving_variance"):
            assert_close(getattr(layer, name), ops.convert_to_numpy(getattr(keras_layer, name)))
        assert_close(layer.scale, ops.convert_to_numpy(keras_layer.gamma))
        assert_close(layer.shift, ops.convert_to_numpy(keras_layer.beta))
        assert layer.epsilon == pytest.approx(epsilon)
        assert layer.epsilon_share == pytest.approx(np.max(epsilon / received.var(0)), rel=1e-4)
        over = np.mean(epsilon / received.var(0) >= 0.1)
        assert layer.epsilon_over_tenth == pytest.approx(over)
        assert layer.effective_samples == 32
        assert layer.momentum == momentum
        assert layer.initial_weight == pytest.approx(momentum**24)
        assert layer.settled_step == (459 if momentum == 0.99 else 44)
        assert layer.mode == "training"
        largest, average = apart(gave, gave_infer)
        assert layer.train_inference_gap == pytest.approx(largest, rel=1e-3)
        assert layer.mean_gap == pytest.approx(average, rel=1e-3)
        for distribution, values in (
            (layer.received, received),
            (layer.normalized, unit),
            (layer.scaled, gave),
            (layer.at_inference, gave_infer),
        ):
            assert distribution.mean == pytest.approx(values.mean(), abs=1e-4)
            assert distribution.std == pytest.approx(values.std(), rel=1e-4)
            levels = (0, 0.01, 0.15, 0.5, 0.85, 0.99, 1)
            assert_close(distribution.quantiles, np.quantile(values, levels))
        spread = np.sqrt(received.var(0))
        assert_close(layer.statistic_std, [spread.min(), np.median(spread), spread.max()])
        means = received.mean(0)
        assert_close(layer.statistic_mean, [means.min(), np.median(means), means.max()])
    (output,) = found.outputs
    largest, average = apart(out_train, out_infer)
    assert output.largest == pytest.approx(largest, rel=1e-3)
    assert output.mean == pytest.approx(average, rel=1e-3)
    assert output.label_flips == np.sum(out_train.argmax(1) != out_infer.argmax(1))
    assert (found.steps, found.steps_from) == (24, "counted by the optimizer")


@needs_training
def test_the_own_gap_is_on_what_training_mode_receives():
    model, x = trained(mlp())
    layer = explain_model(model, x[0]).layers[1]
    received, _, gave = forward(model, x[0][:32].astype("float64"), training=True)[0]["n2"]
    keras_layer = model.get_layer("n2")
    weights = (keras_layer.gamma, keras_layer.beta, *keras_layer.weights[2:])
    gamma, beta, mean, variance = (ops.convert_to_numpy(w).astype("float64") for w in weights)
    own = (received - mean) / np.sqrt(variance + 0.05) * gamma + beta
    assert layer.own_gap == pytest.approx(apart(gave, own)[0], rel=1e-3)


def convolutional(data_format: str) -> keras.Model:
    axis, last = (1, False) if data_format == "channels_first" else (-1, True)
    inputs = keras.Input((9, 9, 2) if last else (2, 9, 9))
    x = layers.Conv2D(4, 3, data_format=data_format)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(axis, name="batch")(x))
    x = layers.GroupNormalization(2, axis=axis, name="group")(x)
    x = layers.GroupNormalization(-1, axis=axis, name="instance")(x)
    if last:
        x = layers.LayerNormalization(name="layer")(x)
        x = layers.LayerNormalization(axis=(1, 2, 3), name="wide")(x)
        x = layers.RMSNormalization(name="rms")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def statistics_of(kind, x, axis):
    """Mean and variance of each statistic, by hand, and values behind it."""
    x = np.moveaxis(x, axis, -1)
    n, h, w, c = x.shape
    if kind == "batch":
        groups, axes = x, (0, 1, 2)
    elif kind == "group":
        groups, axes = x.reshape(n, h, w, 2, c // 2), (1, 2, 4)
    elif kind == "instance":
        groups, axes = x, (1, 2)
    else:
        groups, axes = x, (1, 2, 3) if kind == "wide" else (3,)
    mean = 0 * groups.mean(axes) if kind == "rms" else groups.mean(axes)
    square = np.mean(groups**2, axes) if kind == "rms" else groups.var(axes)
    return mean, square, np.prod([groups.shape[a] for a in axes])


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_every_kind_is_explained(data_format):
    if data_format == "channels_first" and BACKEND == "tensorflow":
        pytest.skip("TensorFlow convolves channels_first on GPUs alone")
    axis = 1 if data_format == "channels_first" else -1
    model, x = trained(convolutional(data_format))
    reference = keras.models.clone_model(model)
    reference.set_weights(model.get_weights())
    names = [layer.name for layer in model.layers if hasattr(layer, "epsilon")]
    tensors = [reference.get_layer(name).input for name in names]
    tensors += [reference.get_layer(name).output for name in names]
    values = seen_by(reference, tensors, x, training=True)
    found = explain_model(model, x[0])
    assert [layer.name for layer in found.layers] == names
    for number, layer in enumerate(found.layers):
        received, gave = values[number], values[number + len(names)]
        mean, variance, _ = moments(received, axis)
        assert_close(layer.mean, mean)
        assert_close(layer.variance, variance)
        means, variances, count = statistics_of(layer.name, received, axis)
        assert layer.effective_samples == count
        assert layer.statistics == variances.size
        assert_close(layer.statistic_mean, [means.min(), np.median(means), means.max()])
        stds = np.sqrt(variances)
        assert_close(layer.statistic_std, [stds.min(), np.median(stds), stds.max()])
        assert layer.epsilon_share == pytest.approx(np.max(layer.epsilon / variances), rel=1e-3)
        assert layer.scaled.std == pytest.approx(gave.std(), rel=1e-4)
        square = layer.normalized.std**2 + layer.normalized.mean**2
        expected = np.mean(variances / (variances + layer.epsilon))
        assert square == pytest.approx(expected, rel=1e-4)
        assert (layer.momentum is None) == (layer.name != "batch")
    kinds = {layer.name: layer.kind for layer in found.layers}
    assert kinds | {"wide": "layer"} == {name: name for name in names} | {"wide": "layer"}


def masked() -> keras.Model:
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(6, 4, mask_zero=True)(inputs)
    x = layers.BatchNormalization(name="batch")(x)
    x = layers.LayerNormalization(name="layer")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def test_masked_positions_do_not_count():
    model, x = trained(masked())
    batch, layer = explain_model(model, x[0]).layers
    embedding = ops.convert_to_numpy(model.layers[1].embeddings).astype("float64")
    counted = embedding[x[0][:32]][x[0][:32] != 0]
    assert batch.effective_samples == len(counted) < 32 * 5
    assert_close(batch.mean, counted.mean(0))
    assert_close(batch.variance, counted.var(0))
    assert sum(batch.received.counts) + batch.received.below + batch.received.above == counted.size
    assert batch.normalized.std == pytest.approx(1, abs=0.05)
    assert layer.effective_samples == 4


def test_a_shared_layer_has_a_row_for_each_call():
    inputs = keras.Input((4,))
    shared, normalization = layers.Dense(4), layers.BatchNormalization(name="n")
    one = normalization(shared(inputs))
    other = normalization(shared(layers.ReLU()(one)))
    model, x = trained(keras.Model(inputs, layers.Dense(2)(other)))
    found = explain_model(model, x[0])
    assert [layer.name for layer in found.layers] == ["n", "n@2"]
    assert found.layers[0].mean != found.layers[1].mean
    named = explain_model(model, x[0], layer="n@2")
    assert named.layers == found.layers[1:]
    assert len(explain_model(model, x[0], layer="n").layers) == 2


def test_nested_models_and_several_inputs_are_opened():
    entry = keras.Input((4,))
    inner = keras.Sequential([layers.Dense(4), layers.BatchNormalization(name="n")], name="inner")
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    joined = layers.Concatenate()([inner(left), right])
    joined = layers.BatchNormalization(name="outer")(joined)
    del entry
    model, x = trained(keras.Model([left, right], layers.Dense(2)(joined)))
    found = explain_model(model, x)
    assert [layer.name for layer in found.layers] == ["inner/n", "outer"]
    assert_close(found.layers[1].mean[4:], x[1][:32].astype("float64").mean(0))
    named = explain_model(model, {"right": x[1], "left": x[0]})
    assert named.layers == found.layers


def test_modes_are_told_apart():
    inputs = keras.Input((4,))
    x = layers.BatchNormalization(name="free")(inputs)
    x = layers.BatchNormalization(name="frozen", trainable=False)(x)
    x = layers.BatchNormalization(name="baked")(x, training=False)
    x = layers.BatchNormalization(name="always")(x, training=True)
    model, data = trained(keras.Model(inputs, layers.Dense(2)(x)))
    found = {layer.name: layer for layer in explain_model(model, data[0]).layers}
    modes = {name: layer.mode for name, layer in found.items()}
    assert modes == {
        "free": "training",
        "frozen": "frozen",
        "baked": "inference",
        "always": "training",
    }
    assert found["frozen"].own_gap == found["baked"].own_gap == found["always"].own_gap == 0
    assert any("frozen" in finding for finding in found["frozen"].findings)
    assert any("training=False" in finding for finding in found["baked"].findings)
    # It gives what its moving statistics make of what it receives.
    frozen = model.get_layer("frozen")
    received = np.asarray(found["frozen"].mean)
    mean, variance = (
        ops.convert_to_numpy(v).astype("float64")
        for v in (frozen.moving_mean, frozen.moving_variance)
    )
    centre = ((received - mean) / np.sqrt(variance + frozen.epsilon)).mean()
    assert found["frozen"].normalized.mean == pytest.approx(centre, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_explained(policy):
    if BACKEND == "numpy":
        pytest.skip("NumPy has no such dtype")
    inputs = keras.Input((6,))
    x = layers.Dense(4, dtype=policy)(inputs)
    x = layers.BatchNormalization(name="n", dtype=policy)(x)
    model = randomise(keras.Model(inputs, layers.Dense(2)(x)))
    data = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    (layer,) = explain_model(model, data, steps=3).layers
    received = ops.convert_to_numpy(ops.cast(model.layers[1](data), "float32")).astype("float64")
    assert_close(layer.mean, received.mean(0), policy.removeprefix("mixed_"))
    assert_close(layer.variance, received.var(0), policy.removeprefix("mixed_"))


def test_renormalization_is_taken_back_from_what_it_gave():
    if "renorm" not in layers.BatchNormalization().get_config():
        pytest.skip("this Keras has no renormalization")
    chain = [keras.Input((4,)), layers.BatchNormalization(renorm=True, name="n"), layers.Dense(2)]
    model, x = trained(keras.Sequential(chain))
    (layer,) = explain_model(model, x[0]).layers
    assert layer.kind == "batch_renorm"
    gamma, beta = (ops.convert_to_numpy(w).astype("float64") for w in model.layers[0].weights[:2])
    reference = keras.models.clone_model(model)
    reference.set_weights(model.get_weights())
    gave = seen_by(reference, [reference.layers[0].output], x, training=True)[0]
    assert layer.normalized.std == pytest.approx(((gave - beta) / gamma).std(), rel=1e-3)


def test_time_distributed_normalization_has_statistics_for_each_step():
    inputs = keras.Input((3, 4))
    x = layers.TimeDistributed(layers.BatchNormalization(), name="n")(inputs)
    model, data = trained(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))))
    (layer,) = explain_model(model, data[0]).layers
    steps = data[0][:32].astype("float64")
    assert (layer.effective_samples, layer.statistics) == (32, 12)
    assert_close(layer.mean, steps.mean((0, 1)))
    spread = np.sqrt(steps.var(0))
    assert_close(layer.statistic_std, [spread.min(), np.median(spread), spread.max()])


def test_sites_are_explained_where_there_is_no_normalization():
    chain = [keras.Input((6,)), layers.Dense(5, "relu", name="a"), layers.Dense(3, name="b")]
    chain += [layers.Activation("tanh", name="t"), layers.Dense(2, name="head")]
    model, x = trained(keras.Sequential(chain))
    with untouched(model):
        found = explain_model(model, x[0])
    assert [(one.name, one.placement) for one in found.layers] == [
        ("a", "before_activation"),
        ("a", "after_activation"),
        ("b", "before_activation"),
        ("t", "after_activation"),
    ]
    kernel, bias = (ops.convert_to_numpy(w).astype("float64") for w in model.layers[0].weights)
    linear = x[0][:32].astype("float64") @ kernel + bias
    before, after = found.layers[:2]
    assert_close(before.mean, linear.mean(0))
    assert_close(before.variance, linear.var(0))
    assert_close(after.mean, np.maximum(linear, 0).mean(0))
    unit = (linear - linear.mean(0)) / np.sqrt(linear.var(0) + 1e-3)
    assert before.normalized.std == pytest.approx(unit.std(), rel=1e-4)
    assert before.effective_samples == 32
    assert (before.kind, before.mode, before.epsilon, before.initial_weight) == (None,) * 4
    assert before.train_inference_gap == 0


def test_a_site_beside_normalization_is_explained_by_name():
    model, x = trained(mlp())
    (site,) = explain_model(model, x[0], layer="a").layers
    (layer,) = explain_model(model, x[0], layer="n1").layers
    assert site.placement == "before_activation"
    assert site.mean == layer.mean


@needs_training
def test_steps_are_those_given_else_those_counted_else_unknown():
    model, x = trained(mlp())
    assert explain_model(model, x[0], steps=459).layers[0].initial_weight == 0.99**459
    found = explain_model(mlp(), x[0])
    assert found.steps is None
    assert found.layers[0].initial_weight is None
    assert "not compiled" in found.steps_from


@needs_training
def test_the_steps_of_a_saved_model_are_counted_on(tmp_path):
    model, x = trained(mlp())
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert explain_model(loaded, x[0]).steps == 24


def test_findings_say_what_is_wrong():
    chain = [keras.Input((3,)), layers.BatchNormalization(epsilon=10.0, name="n"), layers.Dense(2)]
    model = keras.Sequential(chain)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    found = explain_model(model, x, steps=10)
    text = " ".join(found.findings)
    assert "each statistic rests on 4 values" in text
    assert "ε (10) is a tenth of the variance or more in every channel" in text
    assert "90.4% of its moving averages are still initial values" in text
    assert "under 1% from step 459 on" in text


def test_one_row_is_explained_and_said_to_be_too_few():
    model, x = trained(mlp())
    found = explain_model(model, x[0][:1])
    assert found.rows == 1
    assert found.layers[0].variance == (0.0,) * 8
    assert "rests on 1 value" in " ".join(found.layers[0].findings)
    assert json.dumps(found.document(), allow_nan=False)


def test_values_that_are_not_finite_are_counted():
    model, x = trained(mlp())
    x[0][3, 2] = np.nan
    found = explain_model(model, x[0])
    assert any("NaN or infinite" in finding for finding in found.layers[0].findings)
    assert json.dumps(found.document(), allow_nan=False)


def test_the_document_has_what_is_promised():
    model, x = trained(mlp())
    document = json.loads(json.dumps(explain_model(model, x[0]).document(), allow_nan=False))
    promised = {"name", "mean", "variance", "epsilon", "effective_samples", "initial_weight"}
    for layer in document["layers"]:
        assert promised | {"mode", "train_inference_gap"} <= set(layer)
        assert len(layer["mean"]) == len(layer["variance"])


class TestBadInput:
    def test_an_unknown_layer(self):
        model, x = trained(mlp())
        with pytest.raises(InputError, match="unknown layer: received 'n3', expected one of n1, "):
            explain_model(model, x[0], layer="n3")

    def test_a_model_without_any_site(self):
        model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        with pytest.raises(InputError, match="neither normalization nor a site for it"):
            explain_model(model, np.ones((4, 3)))

    @pytest.mark.parametrize("x", [np.ones((4, 7)), np.ones((4, 6, 2)), [np.ones((4, 6))] * 2])
    def test_data_that_do_not_fit(self, x):
        with pytest.raises(InputError, match="the data of the explanation do not fit the model"):
            explain_model(mlp(), x)

    def test_no_rows(self):
        with pytest.raises(InputError, match="the explanation needs data"):
            explain_model(mlp(), np.ones((0, 6)))

    @pytest.mark.parametrize("steps", [-1, 1.5, True])
    def test_steps_that_are_none(self, steps):
        with pytest.raises(InputError, match="steps: received .*, expected a whole number, 0 or"):
            explain_model(mlp(), np.ones((4, 6)), steps=steps)

    def test_rows_that_are_none(self):
        with pytest.raises(InputError, match="rows: received 0, expected a whole number, 1 or"):
            explain_model(mlp(), np.ones((4, 6)), rows=0)

    def test_a_model_without_a_graph(self):
        class Own(keras.Model):
            def call(self, inputs):
                return inputs

        with pytest.raises(SurgeryError, match="has no graph of layer calls"):
            explain_model(Own(), np.ones((4, 6)))

    def test_a_layer_that_fails_on_the_data(self):
        @keras.saving.register_keras_serializable("explain")
        class Failing(layers.Layer):
            def call(self, inputs):
                raise ValueError("only on Sundays")

            def compute_output_spec(self, inputs):
                return keras.KerasTensor(inputs.shape, inputs.dtype)

        chain = [keras.Input((6,)), Failing(name="own"), layers.BatchNormalization()]
        with pytest.raises(InputError, match=r"'own' \(Failing\) cannot be computed on these data"):
            explain_model(keras.Sequential([*chain, layers.Dense(2)]), np.ones((4, 6)))


def test_normalization_inside_of_a_layer_is_named_as_not_looked_into():
    @keras.saving.register_keras_serializable("explain")
    class Block(layers.Layer):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.inner = layers.BatchNormalization()

        def build(self, shape):
            self.inner.build(shape)
            super().build(shape)

        def call(self, inputs):
            return self.inner(inputs)

    chain = [keras.Input((6,)), Block(name="block"), layers.BatchNormalization(name="n")]
    model = keras.Sequential([*chain, layers.Dense(2)])
    found = explain_model(model, np.ones((4, 6)))
    assert [layer.name for layer in found.layers] == ["n"]
    assert "not looked into: block" in found.notes[0]


def test_placed_normalization_is_where_the_site_was():
    chain = [keras.Input((6,)), layers.Dense(5, "relu", name="a"), layers.Dense(2, name="head")]
    model, x = trained(keras.Sequential(chain))
    (before, _) = explain_model(model, x[0]).layers
    placed = place(model, "before_activation").model
    (layer,) = explain_model(placed, x[0]).layers
    # The bias is gone from what it receives.
    bias = ops.convert_to_numpy(model.layers[0].bias)
    assert_close(np.asarray(layer.mean) + bias, before.mean)
    assert_close(layer.variance, before.variance)


@needs_training
@pytest.mark.parametrize("size", [8, 12, 64])
def test_ghost_batches_are_explained_part_by_part(size):
    chain = [keras.Input((4,)), GhostBatchNormalization(size, name="n"), layers.Dense(2)]
    model, x = trained(keras.Sequential(chain))
    (layer,) = explain_model(model, x[0]).layers
    rows = first(x)[0].astype("float64")
    parts = [rows[start : start + size] for start in range(0, 32, size)]
    assert (layer.kind, layer.effective_samples) == ("ghost_batch", min(size, 32))
    assert layer.statistics == 4 * len(parts)
    normalized = np.concatenate([(p - p.mean(0)) / np.sqrt(p.var(0) + 1e-3) for p in parts])
    assert layer.normalized.std == pytest.approx(normalized.std(), rel=1e-4)
    assert layer.initial_weight == pytest.approx(0.99**24)


@needs_training
@pytest.mark.parametrize("settings", [{"debiased": True}, {"momentum": None}])
def test_averages_without_initial_values_have_none_left(settings):
    chain = [keras.Input((4,)), BatchNormalization(name="n", **settings), layers.Dense(2)]
    model, x = trained(keras.Sequential(chain))
    found = explain_model(model, x[0])
    (layer,) = found.layers
    assert (layer.initial_weight, layer.settled_step) == (0.0, 1)
    assert layer.moving_mean == pytest.approx(ops.convert_to_numpy(model.layers[0].moving_mean))
    assert not [finding for finding in layer.findings if "initial values" in str(finding)]
    (before,) = explain_model(model, x[0], steps=0).layers
    assert before.initial_weight == 1.0


@needs_training
@pytest.mark.parametrize("ours", [True, False])
def test_inside_time_distributed_ours_is_explained_over_all_steps(ours):
    kind = BatchNormalization if ours else layers.BatchNormalization
    wrapped = layers.TimeDistributed(kind(), name="n")
    model, x = trained(keras.Sequential([keras.Input((3, 2)), wrapped, layers.Dense(2)]))
    (layer,) = explain_model(model, x[0]).layers
    assert layer.effective_samples == (96 if ours else 32)
