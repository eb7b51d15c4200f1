"""Folding across what normalization commutes with: backward, forward, through branches."""

import keras
import numpy as np
import pytest
from keras import layers

from normcraft.surgery import remove_normalization
from strategies import outputs, realistic, untouched
from tolerances import assert_close

FIRST = keras.backend.backend() != "tensorflow"  # channels_first convolutions on a CPU
IMAGE, SERIES = (8, 8, 4), (9, 4)
CF = {"data_format": "channels_first"}


def bn(**settings):
    return layers.BatchNormalization(**settings)


def chain(shape, *parts) -> keras.Model:
    return realistic(keras.Sequential([keras.Input(shape), *parts]), seed=3)


def negative(model: keras.Model) -> keras.Model:
    """The same with a negative gamma in each normalization."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            gamma = np.array(keras.ops.convert_to_numpy(layer.gamma))
            gamma[1] = -gamma[1]
            layer.gamma.assign(gamma)
    return model


def conv(filters=6, **settings):
    return layers.Conv2D(filters, 3, **settings)


def conv1(filters=6, **settings):
    return layers.Conv1D(filters, 3, **settings)


# What stands between a convolution and normalization behind it.
BACKWARD = {
    "dropout": lambda: chain(IMAGE, conv(), layers.Dropout(0.5), bn()),
    "spatial dropout": lambda: chain(IMAGE, conv(), layers.SpatialDropout2D(0.5), bn()),
    "noise": lambda: chain(IMAGE, conv(), layers.GaussianNoise(0.5), bn()),
    "identity": lambda: chain(IMAGE, conv(), layers.Identity(), layers.Activation("linear"), bn()),
    "average pooling": lambda: negative(
        chain(IMAGE, conv(), layers.AveragePooling2D(3, 2, padding="same"), bn())
    ),
    "average pooling 1d": lambda: chain(SERIES, conv1(), layers.AveragePooling1D(2), bn()),
    "average pooling 3d": lambda: chain(
        (5, 5, 5, 2), layers.Conv3D(3, 2), layers.AveragePooling3D(2), bn()
    ),
    "global average": lambda: negative(chain(IMAGE, conv(), layers.GlobalAveragePooling2D(), bn())),
    "global average kept": lambda: chain(
        IMAGE, conv(), layers.GlobalAveragePooling2D(keepdims=True), bn()
    ),
    "max pooling": lambda: chain(IMAGE, conv(), layers.MaxPooling2D(padding="same"), bn()),
    "global max": lambda: chain(IMAGE, conv(), layers.GlobalMaxPooling2D(), bn()),
    "cropping": lambda: chain(IMAGE, conv(), layers.Cropping2D(1), bn()),
    "upsampling": lambda: chain(IMAGE, conv(), layers.UpSampling2D(2), bn()),
    "bilinear": lambda: chain(
        IMAGE, conv(), layers.UpSampling2D(2, interpolation="bilinear"), bn()
    ),
    "reshape": lambda: chain(IMAGE, conv(), layers.Reshape((36, 6)), bn()),
    "permute": lambda: chain(IMAGE, conv(), layers.Permute((3, 1, 2)), bn(axis=1)),
    "flatten of one position": lambda: chain((3, 3, 4), conv(), layers.Flatten(), bn()),
    "embedding": lambda: chain((5,), layers.Embedding(7, 6), bn()),
    "embedding, dropout": lambda: chain((5,), layers.Embedding(7, 6), layers.Dropout(0.5), bn()),
    "several": lambda: chain(
        IMAGE, conv(), layers.MaxPooling2D(), layers.Dropout(0.5), bn(), layers.Dropout(0.1), bn()
    ),
}

# What stands between normalization and the layer behind it.
FORWARD = {
    "dense": lambda: chain((5,), bn(), layers.Dense(6)),
    "dense with activation": lambda: negative(chain((5,), bn(), layers.Dense(6, "relu"))),
    "dense without bias": lambda: chain((5,), bn(), layers.Dense(6, use_bias=False)),
    "valid": lambda: negative(chain(IMAGE, bn(), conv())),
    "grouped": lambda: chain(IMAGE, bn(), conv(groups=2)),
    "dilated, strided": lambda: chain(IMAGE, bn(), conv(dilation_rate=2), bn(), conv(2, strides=2)),
    "pointwise same": lambda: chain(IMAGE, bn(), layers.Conv2D(6, 1, padding="same", strides=2)),
    "patches same": lambda: chain(IMAGE, bn(), layers.Conv2D(6, 2, padding="same", strides=2)),
    "conv1d": lambda: chain(SERIES, bn(), conv1()),
    "conv3d": lambda: chain((5, 5, 5, 2), bn(), layers.Conv3D(3, 2)),
    "depthwise": lambda: chain(IMAGE, bn(), layers.DepthwiseConv2D(3, depth_multiplier=2)),
    "depthwise 1d": lambda: chain(SERIES, bn(), layers.DepthwiseConv1D(3, use_bias=False)),
    "separable": lambda: chain(IMAGE, bn(), layers.SeparableConv2D(6, 3, depth_multiplier=2)),
    "separable 1d": lambda: chain(SERIES, bn(), layers.SeparableConv1D(6, 3)),
    "pointwise transposed": lambda: chain(IMAGE, bn(), layers.Conv2DTranspose(6, 1)),
    "einsum": lambda: chain((4, 5), bn(), layers.EinsumDense("abc,cd->abd", (None, 6))),
    "einsum with bias": lambda: chain(
        (4, 5), bn(), layers.EinsumDense("abc,cde->abde", (None, 2, 6), bias_axes="de")
    ),
    "einsum over two": lambda: chain(
        (4, 5), bn(), layers.EinsumDense("abc,bcd->ad", (6,), bias_axes="d")
    ),
    "einsum of any rank": lambda: chain(
        (3, 4, 5), bn(), layers.EinsumDense("...c,cd->...d", (3, 4, 6), bias_axes="d")
    ),
    "flatten": lambda: negative(chain(IMAGE, bn(), layers.Flatten(), layers.Dense(3))),
    "bn behind flatten": lambda: chain(IMAGE, layers.Flatten(), bn(), layers.Dense(3)),
    "reshape": lambda: chain(IMAGE, bn(), layers.Reshape((64, 4)), layers.Dense(3)),
    "max pooling": lambda: chain(IMAGE, bn(), layers.MaxPooling2D(), conv(3)),
    "average pooling": lambda: negative(
        chain(IMAGE, bn(), layers.AveragePooling2D(3, 2, padding="same"), conv(3))
    ),
    "global average": lambda: chain(IMAGE, bn(), layers.GlobalAveragePooling2D(), layers.Dense(3)),
    "dropout": lambda: chain(IMAGE, bn(), layers.Dropout(0.5), layers.Dense(3)),
    "after activation": lambda: chain(
        IMAGE, conv(activation="relu"), bn(), layers.MaxPooling2D(), layers.Flatten(),
        layers.Dense(8, "relu"), bn(), layers.Dense(3, "softmax"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "make", [*BACKWARD.values(), *FORWARD.values()], ids=[*BACKWARD, *(f"{k} " for k in FORWARD)]
)
def test_folding_keeps_the_function(make):
    model = make()
    with untouched(model):
        result = remove_normalization(model, mode="fold")
    check(model, result)


def check(model, result, kept: int = 0) -> None:
    """What folds is gone, and the function is the same, which dropping does not give."""
    assert len(result.kept) == kept, result.kept
    assert result.folded == len(result.removed) > 0
    left = [layer for layer in result.model.layers if "batch" in type(layer).__name__.lower()]
    assert len(left) == kept
    for one, other in zip(outputs(result.model), outputs(model), strict=True):
        assert_close(one, other)
    dropped = outputs(remove_normalization(model).model)[0]
    before = outputs(model)[0]
    assert np.max(np.abs(dropped - before)) > 1e-3 * np.max(np.abs(before))


@pytest.mark.skipif(not FIRST, reason="TensorFlow's convolutions on a CPU know channels_last alone")
@pytest.mark.parametrize(
    "parts",
    [
        lambda: (conv(**CF), layers.MaxPooling2D(**CF), bn(axis=1)),
        lambda: (bn(axis=1), layers.AveragePooling2D(2, **CF), layers.Conv2D(3, 1, **CF)),
        lambda: (bn(axis=1), layers.Flatten(**CF), layers.Dense(3)),
        lambda: (bn(axis=1), layers.Flatten(data_format="channels_last"), layers.Dense(3)),
        lambda: (conv(**CF), layers.GlobalAveragePooling2D(**CF), bn()),
        lambda: (conv(**CF), layers.GlobalMaxPooling2D(keepdims=True, **CF), bn(axis=1)),
        lambda: (bn(axis=1), layers.GlobalAveragePooling2D(**CF), layers.Dense(2)),
        lambda: (bn(axis=1), layers.DepthwiseConv2D(3, **CF)),
        lambda: (bn(axis=1), conv(groups=2, **CF)),
    ],
)
def test_folding_with_the_channels_first(parts):
    model = chain((4, 8, 8), *parts())
    check(model, remove_normalization(model, mode="fold"))


def branches(kind, *, deeper: bool = False):
    entry = keras.Input(IMAGE, name="x")
    left, right = conv(name="left")(entry), conv(name="right", use_bias=False)(entry)
    x = kind()([left, layers.Dropout(0.2)(right) if deeper else right])
    return realistic(keras.Model(entry, layers.ReLU()(bn(name="n")(x))))


@pytest.mark.parametrize("kind", [layers.Add, layers.Concatenate])
@pytest.mark.parametrize("deeper", [False, True])
def test_normalization_behind_branches_goes_into_each_of_them(kind, deeper):
    model = branches(kind, deeper=deeper)
    check(model, remove_normalization(model, mode="fold"))


def test_an_operation_adds_as_a_layer_does():
    model = branches(lambda: lambda both: both[0] + both[1])
    check(model, remove_normalization(model, mode="fold"))


def test_a_branch_that_cannot_take_its_part_keeps_all():
    entry = keras.Input(IMAGE, name="x")
    x = layers.Add()([conv()(entry), conv(activation="relu", name="r")(entry)])
    model = realistic(keras.Model(entry, layers.ReLU()(bn(name="n")(x))))
    result = remove_normalization(model, mode="fold")
    assert not result.removed
    assert "'r' before it has an activation of its own" in result.kept[0][1]


def test_every_reader_takes_the_map_or_none_does():
    entry = keras.Input((5,), name="x")
    n = bn(name="n")(layers.ReLU()(entry))
    both = [layers.Dense(3)(n), layers.Dense(3)(layers.Dropout(0.5)(n))]
    model = realistic(keras.Model(entry, layers.Add()(both)))
    check(model, remove_normalization(model, mode="fold"))
    model = realistic(keras.Model(entry, [layers.Dense(3)(n), layers.ReLU(name="r")(n)]))
    kept = remove_normalization(model, mode="fold").kept
    assert "forward, 'r' stands in between" in kept[0][1]


def test_part_of_a_concatenation_goes_on_alone():
    entry = keras.Input(IMAGE, name="x")
    n = bn(name="n")(layers.ReLU()(entry))
    x = layers.Concatenate()([entry, n])
    model = realistic(keras.Model(entry, conv()(x)))
    check(model, remove_normalization(model, mode="fold"))


def test_a_value_that_is_read_twice_after_a_fold_is_not_mistaken_for_one():
    # Once n is folded into the weights, both inputs of the join are the same value.
    entry = keras.Input((5,), name="x")
    m = bn(name="m")(layers.ReLU()(entry))
    x = layers.Concatenate()([bn(name="n")(m), m])
    model = realistic(keras.Model(entry, layers.Dense(3)(x)))
    result = remove_normalization(model, mode="fold")
    assert "n" in result.removed
    assert_close(outputs(result.model)[0], outputs(model)[0])


def test_normalization_merges_into_normalization():
    model = chain((5,), layers.ReLU(), bn(name="m"), bn(name="n"), layers.ReLU())
    result = remove_normalization(model, mode="fold")
    check(model, result, kept=1)


def masked(*, behind: bool):
    tokens = keras.Input((5,), dtype="int32", name="t")
    mask = keras.ops.not_equal(tokens, 0)
    x = layers.ReLU()(layers.Embedding(7, 6)(tokens))
    x = x if behind else bn(name="n")(x, mask=mask)
    x = layers.Dense(4, name="d")(x) if behind else x
    x = layers.GlobalAveragePooling1D()(x, mask=mask)
    x = bn(name="n")(x) if behind else x
    return realistic(keras.Model(tokens, layers.Dense(3)(layers.Dropout(0.1)(x))))


@pytest.mark.parametrize("behind", [True, False])
def test_masks_are_not_in_the_way(behind):
    model = masked(behind=behind)
    tokens = np.array([[1, 2, 0, 0, 0], [3, 0, 4, 5, 6], [1, 1, 1, 1, 0]], "int32")
    result = remove_normalization(model, mode="fold")
    assert (result.removed, result.kept) == (("n",), ())
    assert_close(outputs(result.model, [tokens])[0], outputs(model, [tokens])[0])


def test_what_merged_has_the_weights_for_it():
    plain = bn(center=False, scale=False, name="m")
    model = chain((5,), layers.ReLU(), plain, layers.Dropout(0.5), bn(name="n"), layers.ReLU())
    check(model, remove_normalization(model, mode="fold"), kept=1)


def test_lora_is_merged_into_the_kernel():
    model = chain((8,), layers.Dense(6, name="d"), bn(name="n"))
    model.get_layer("d").enable_lora(2)
    realistic(model)
    result = remove_normalization(model, mode="fold")
    assert not result.model.get_layer("d").lora_enabled
    check(model, result)


class Doubled(layers.Dense):
    """A Dense of one's own that computes something else."""

    def call(self, inputs, training=None):
        return 2 * super().call(inputs) ** 2


def uses_of_one(readers):
    entry = keras.Input((5,), name="x")
    return realistic(keras.Model(entry, readers(bn(name="n")(layers.ReLU(name="r")(entry)))))


REFUSED = {
    "negative max": (
        lambda: negative(chain(IMAGE, conv(), layers.MaxPooling2D(name="p"), bn())),
        "a gamma is negative, and 'p' in between takes maxima",
    ),
    "negative max forward": (
        lambda: negative(chain(IMAGE, layers.ReLU(), bn(), layers.MaxPooling2D(name="p"), conv())),
        "a gamma is negative, and 'p' in between takes maxima",
    ),
    "border": (
        lambda: chain(IMAGE, layers.ReLU(), bn(), conv(padding="same", name="c")),
        "'c' behind it pads with zeros, and the shift is not zero",
    ),
    "causal": (
        lambda: chain(SERIES, layers.ReLU(), bn(), conv1(padding="causal", name="c")),
        "'c' behind it pads with zeros",
    ),
    "transposed": (
        lambda: chain(IMAGE, layers.ReLU(), bn(), layers.Conv2DTranspose(3, 3, name="c")),
        "'c' behind it pads with zeros",
    ),
    "zero padding": (
        lambda: chain(IMAGE, layers.ReLU(), bn(), layers.ZeroPadding2D(name="z"), conv()),
        "'z' in between pads with zeros",
    ),
    "padding before": (
        lambda: chain(IMAGE, conv(), layers.ZeroPadding2D(name="z"), bn(), layers.ReLU()),
        "'z' in between pads with zeros",
    ),
    "positions": (
        lambda: chain(IMAGE, conv(), layers.Flatten(), bn(), layers.ReLU()),
        "does not work on the output channels of 'conv2d",
    ),
    "own class": (
        lambda: chain((5,), Doubled(6, name="d"), bn(), layers.ReLU()),
        "'d' is a Doubled, a class of its own that may compute something else",
    ),
    "random": (
        lambda: uses_of_one(
            lambda n: layers.Dense(2)(layers.Dropout(0.5, name="o")(n, training=True))
        ),
        "'o' in between has training=True baked in",
    ),
    "output": (lambda: uses_of_one(lambda n: [n, layers.Dense(2)(n)]), "its result is an output"),
    "other sum": (
        lambda: chain((4, 5), layers.ReLU(), bn(axis=1), layers.Dense(3, name="d")),
        "does not work on the input channels of 'd' behind it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_another_function_is_refused(name):
    make, reason = REFUSED[name]
    model = make()
    result = remove_normalization(model, mode="fold")
    assert not result.modified
    assert len(result.kept) == 1
    assert reason in result.kept[0][1], result.kept


def test_a_shift_of_zero_may_meet_a_border():
    model = chain(IMAGE, layers.ReLU(), bn(center=False, name="n"), conv(padding="same"))
    model.get_layer("n").moving_mean.assign(np.zeros(4))
    check(model, remove_normalization(model, mode="fold"))


@pytest.mark.parametrize("name", ["max pooling", "embedding", "several"])
def test_the_copy_keeps_names_and_settings_and_loads_in_plain_keras(name, tmp_path):
    model = BACKWARD[name]()
    model.compile("adam", "mse")
    model.layers[0].trainable = False
    folded = remove_normalization(model, mode="fold").model
    gone = {layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)}
    assert [layer.name for layer in folded.layers] == [
        layer.name for layer in model.layers if layer.name not in gone
    ]
    assert folded.compiled
    assert not folded.layers[0].trainable
    folded.save(tmp_path / "folded.keras")
    loaded = keras.saving.load_model(tmp_path / "folded.keras")
    assert np.array_equal(outputs(loaded)[0], outputs(folded)[0])
