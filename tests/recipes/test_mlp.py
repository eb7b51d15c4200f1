import keras
import numpy as np
import pytest

from normcraft.recipes import mlp


def test_the_layers_stand_as_the_seed_writes_them():
    kinds = [type(layer).__name__ for layer in mlp().layers]
    block = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert kinds == [*block, *block, "Dense", "BatchNormalization", "Activation"]


def test_biases_stay_as_seeded_and_go_with_a_placement():
    assert mlp().count_params() == 5770
    assert mlp("none").count_params() == 5770 - (256 + 256 + 8)
    # 64 + 64 biases go, and the logits are left alone.
    assert mlp("before_activation").count_params() == 5770 - 8 - 128


def test_initial_weights_are_uniform_within_a_twentieth():
    kernels = [keras.ops.convert_to_numpy(mlp().get_layer(f"dense{n}").kernel) for n in (1, 2, 3)]
    assert all(np.abs(kernel).max() <= 0.05 for kernel in kernels)
    assert np.std(kernels[1]) == pytest.approx(0.1 / np.sqrt(12), rel=0.05)


def test_the_optimizer_is_that_of_the_seed_with_its_decay_in_force():
    optimizer = mlp().optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert (optimizer.momentum, optimizer.nesterov) == (0.9, True)
    schedule = optimizer.get_config()["learning_rate"]["config"]
    rate = keras.optimizers.schedules.InverseTimeDecay.from_config(schedule)
    # Keras 1 divided by (1 + decay * iterations).
    assert float(rate(1_000_000)) == pytest.approx(0.1 / 2, rel=1e-5)


def test_two_classes_have_binary_and_more_have_categorical_cross_entropy():
    assert mlp().loss == "binary_crossentropy"
    assert mlp(classes=3).loss == "categorical_crossentropy"


def test_binary_cross_entropy_on_a_softmax_of_two_is_categorical_cross_entropy():
    first = np.array([[0.3], [0.9], [0.55]], "float32")
    probabilities = np.hstack([first, 1 - first])
    onehot = np.array([[0, 1], [1, 0], [1, 0]], "float32")
    binary = keras.losses.binary_crossentropy(onehot, probabilities)
    categorical = keras.losses.categorical_crossentropy(onehot, probabilities)
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (binary, categorical)), rtol=1e-5)


def test_it_learns_a_real_table_as_the_seed_trains_it(wine):
    x, y = wine
    model = mlp(inputs=13, classes=3)
    keras.utils.set_random_seed(0)
    history = model.fit(
        (x - x.mean(axis=0)) / x.std(axis=0),
        keras.utils.to_categorical(y, 3),
        epochs=20,
        batch_size=16,
        validation_split=0.2,
        verbose=0,
    )
    assert history.history["val_accuracy"][-1] > 0.8


def test_widths_and_dropout_are_sizes():
    model = mlp(inputs=30, units=14, dropout=0)
    assert model.input_shape == (None, 30)
    assert model.get_layer("dense2").units == 14
    assert model.get_layer("dropout1").rate == 0


@pytest.mark.parametrize("dropout", [1, 1.5, -0.1, "0.5", True, float("nan")])
def test_a_dropout_that_is_no_rate_is_refused(dropout):
    with pytest.raises(ValueError, match=r"dropout cannot be used.*a number from 0 to below 1"):
        mlp(dropout=dropout)


@pytest.mark.parametrize("name", ["inputs", "units"])
def test_a_width_that_is_none_is_refused(name):
    with pytest.raises(
        ValueError,
        match=f"{name} cannot be used: received 0, expected a whole number of at least 1",
    ):
        mlp(**{name: 0})


def test_instance_normalization_of_a_table_is_refused():
    with pytest.raises(ValueError, match=r"cannot have kind 'instance' at 'norm1'.*beta alone"):
        mlp(kind="instance")
