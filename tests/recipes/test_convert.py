"""R3 of the seeds: what has `activation=` becomes layer without bias, normalization, activation."""

import keras
import numpy as np
from keras import layers

from normcraft.recipes import blog_cnn
from normcraft.surgery import insert_normalization


def described(model):
    return [
        (layer.name, getattr(layer, "use_bias", None), getattr(layer, "activation", None))
        for layer in model.layers
        if not isinstance(layer, layers.MaxPooling2D | layers.Flatten)
    ]


def test_every_layer_of_a_whole_model_is_converted_at_once():
    linear, relu, softmax = (keras.activations.get(n) for n in ("linear", "relu", "softmax"))
    converted = insert_normalization(blog_cnn(), "before_activation+output").model
    expected = []
    for name in ("conv1", "conv2", "conv3", "dense1", "dense2"):
        expected += [
            (name, False, linear),
            (f"{name}_batch_normalization", None, None),
            (f"{name}_activation", None, softmax if name == "dense2" else relu),
        ]
    assert described(converted) == expected


def test_the_converted_model_is_the_one_written_by_hand():
    plain = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu", name="a"),
            layers.Flatten(),
            layers.Dense(4, activation="sigmoid", name="b"),
            layers.Dense(2, name="c"),
        ]
    )
    by_hand = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dense(4, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("sigmoid"),
            layers.Dense(2),
        ]
    )
    converted = insert_normalization(plain, "before_activation").model
    by_hand.set_weights(converted.get_weights())
    x = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype("float32")
    for training in (False, True):
        np.testing.assert_allclose(
            *(
                keras.ops.convert_to_numpy(model(x, training=training))
                for model in (converted, by_hand)
            ),
            rtol=1e-5,
            atol=1e-6,
        )


def test_trained_kernels_stay_when_a_model_is_converted():
    plain = blog_cnn()
    converted = insert_normalization(plain, "before_activation+output").model
    for name in ("conv1", "dense2"):
        np.testing.assert_array_equal(
            *(
                keras.ops.convert_to_numpy(model.get_layer(name).kernel)
                for model in (plain, converted)
            )
        )
