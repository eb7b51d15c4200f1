import itertools

import keras
import numpy as np
import pytest

from normcraft.recipes import conv_block, recipe_names

STEPS = ("convolution", "activation", "normalization")
KIND_OF_STEP = {
    "Conv2D": "convolution",
    "Activation": "activation",
    "BatchNormalization": "normalization",
}


def built(*arguments, shape=(9, 9, 3), **keywords):
    image = keras.Input(shape)
    return keras.Model(image, conv_block(image, *arguments, **keywords))


def test_without_more_words_it_is_the_block_of_the_seed():
    model = built(4)
    assert [type(layer).__name__ for layer in model.layers[1:]] == [
        "Conv2D",
        "Activation",
        "BatchNormalization",
    ]
    assert model.output_shape == (None, 9, 9, 4)
    assert model.layers[1].use_bias


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)))
def test_every_order_is_built_as_asked_for(order):
    model = built(4, order=order)
    assert tuple(KIND_OF_STEP[type(layer).__name__] for layer in model.layers[1:]) == order


@pytest.mark.parametrize("order", ["norm-act-conv", "conv-act", "conv", "conv-norm"])
def test_the_short_form_says_the_same(order):
    kinds = [KIND_OF_STEP[type(layer).__name__] for layer in built(4, order=order).layers[1:]]
    assert "-".join({"convolution": "conv"}.get(k, k[:4].rstrip("i")) for k in kinds) == order


def test_it_computes_what_the_layers_compute_one_by_one():
    x = np.random.default_rng(0).normal(size=(2, 9, 9, 3)).astype("float32")
    model = built(4, order="conv-norm-act", activation="tanh", name="a")
    tensor = x
    for name in ("a", "a_batch_normalization", "a_activation"):
        tensor = model.get_layer(name)(tensor)
    np.testing.assert_allclose(
        *map(keras.ops.convert_to_numpy, (model(x), tensor)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("order", "kind", "has_bias"),
    [
        ("conv-norm-act", "batch", False),
        ("conv-norm-act", "instance", False),
        ("conv-norm-act", "layer", True),
        ("conv-act-norm", "batch", True),
        ("norm-conv-act", "batch", True),
    ],
)
def test_the_bias_goes_where_normalization_subtracts_it_again(order, kind, has_bias):
    assert built(4, order=order, kind=kind, name="a").get_layer("a").use_bias is has_bias


def test_use_bias_and_other_arguments_of_the_convolution_are_obeyed():
    model = built(4, 3, order="conv-norm", use_bias=True, strides=2, padding="valid", name="a")
    assert model.get_layer("a").use_bias
    assert model.output_shape == (None, 4, 4, 4)


@pytest.mark.parametrize(("shape", "kind"), [((9, 3), "Conv1D"), ((5, 5, 5, 3), "Conv3D")])
def test_the_convolution_has_as_many_axes_as_the_tensor(shape, kind):
    assert type(built(4, shape=shape, name="a").get_layer("a")).__name__ == kind


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="TensorFlow's convolutions on a CPU know channels_last alone",
)
def test_channels_first_is_normalized_over_the_channels():
    image = keras.Input((3, 9, 9))
    tensor = conv_block(
        image, 4, kernel_size=1, order="norm-conv", data_format="channels_first", name="a"
    )
    layer = keras.Model(image, tensor).get_layer("a_batch_normalization")
    assert layer.gamma.shape == (3,)


def test_blocks_without_a_name_can_be_stacked():
    image = keras.Input((9, 9, 3))
    model = keras.Model(image, conv_block(conv_block(image, 3), 3))
    assert len({layer.name for layer in model.layers}) == 7


def test_it_is_no_recipe():
    assert "conv_block" not in recipe_names()


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="unknown step of a convolution block: received 'nrm'"):
        built(4, order="conv-nrm")


@pytest.mark.parametrize("order", ["act-norm", "conv-conv", ("convolution", "conv")])
def test_an_order_without_one_convolution_is_refused(order):
    with pytest.raises(ValueError, match="this is no order of a convolution block"):
        built(4, order=order)


@pytest.mark.parametrize(
    ("inputs", "received"), [(5, "int"), (np.zeros((2, 2)), r"shape \(2, 2\)")]
)
def test_what_a_convolution_cannot_work_on_is_refused(inputs, received):
    with pytest.raises(ValueError, match=f"cannot work on this: received {received}"):
        conv_block(inputs, 4)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="unknown kind: received 'bach'"):
        built(4, kind="bach")


def test_an_unknown_number_of_channels_is_refused():
    # Keras's own convolution refuses it where it comes first.
    with pytest.raises(
        ValueError, match=r"cannot normalize shape .*None\): .*its number of channels"
    ):
        built(4, order="norm-conv", shape=(9, 9, None))


@pytest.mark.parametrize("arguments", [{"padding": "sme"}, {"stride": 2}, {"activation": "rulu"}])
def test_what_keras_refuses_is_one_line(arguments):
    with pytest.raises(ValueError, match="Keras cannot build this convolution block 'a'") as caught:
        built(4, name="a", **arguments)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
