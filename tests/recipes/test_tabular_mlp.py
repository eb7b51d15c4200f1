import keras
import numpy as np
import pytest

from normcraft.recipes import tabular_mlp

AGE_AND_SALARY = np.array(
    [[23, 31_000], [35, 62_000], [44, 58_000], [51, 120_000], [62, 95_000]], "float32"
)


def first_layer(model):
    return type(model.layers[0]).__name__


def test_each_choice_treats_the_columns_as_it_says():
    assert first_layer(tabular_mlp()) == "Dense"
    assert first_layer(tabular_mlp(inputs="batch")) == "BatchNormalization"
    model = tabular_mlp(inputs="normalization", adapt_to=AGE_AND_SALARY)
    assert first_layer(model) == "Normalization"


def test_the_fixed_normalization_standardizes_age_and_salary():
    model = tabular_mlp(inputs="normalization", adapt_to=AGE_AND_SALARY)
    scaled = keras.ops.convert_to_numpy(model.layers[0](AGE_AND_SALARY)).astype("float64")
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)


def test_it_is_the_layer_that_adapt_would_give():
    adapted = keras.layers.Normalization()
    adapted.adapt(AGE_AND_SALARY)
    ours = tabular_mlp(inputs="normalization", adapt_to=AGE_AND_SALARY).layers[0]
    expected, given = (
        keras.ops.convert_to_numpy(layer(AGE_AND_SALARY)) for layer in (adapted, ours)
    )
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("placement", ["none", "before_activation", "input+after_activation"])
def test_placements_keep_the_fixed_normalization_and_its_numbers(placement):
    model = tabular_mlp(placement, inputs="normalization", adapt_to=AGE_AND_SALARY)
    layer = model.get_layer("normalization")
    scaled = keras.ops.convert_to_numpy(layer(AGE_AND_SALARY))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)


def test_a_placement_replaces_the_batch_normalization_of_the_input():
    assert first_layer(tabular_mlp("none", inputs="batch")) == "Dense"


def test_a_constant_column_does_no_harm():
    table = np.hstack([AGE_AND_SALARY, np.full((5, 1), 7.0)])
    model = tabular_mlp(inputs="normalization", adapt_to=table, features=3)
    assert np.isfinite(keras.ops.convert_to_numpy(model(table.astype("float32")))).all()


def test_scaled_columns_learn_a_real_table_that_raw_ones_do_not(wine, losses):
    x, y = wine
    last = {
        inputs: losses(
            tabular_mlp(
                inputs=inputs,
                features=13,
                classes=3,
                adapt_to=x if inputs == "normalization" else None,
            ),
            x,
            y,
            epochs=15,
            batch_size=16,
        )[-1]
        for inputs in ("raw", "normalization", "batch")
    }
    assert last["normalization"] < 0.5 < last["raw"]
    assert last["batch"] < 0.5


def test_hidden_layers_are_as_many_as_units():
    names = [layer.name for layer in tabular_mlp(units=(32, 32, 32)).layers]
    assert names == ["dense1", "dense2", "dense3", "dense4"]


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match=r"unknown inputs: received 'bach'.*did you mean 'batch'"):
        tabular_mlp(inputs="bach")


def test_normalization_without_data_is_refused():
    with pytest.raises(ValueError, match=r"needs the data.*adapt_to=None.*give adapt_to=x_train"):
        tabular_mlp(inputs="normalization")


def test_data_that_would_not_be_used_are_refused():
    with pytest.raises(ValueError, match="adapt_to is given but not used: received inputs='raw'"):
        tabular_mlp(adapt_to=AGE_AND_SALARY)


@pytest.mark.parametrize("data", [AGE_AND_SALARY[0], AGE_AND_SALARY[:, :1], AGE_AND_SALARY[:0]])
def test_data_of_another_shape_are_refused(data):
    with pytest.raises(ValueError, match=r"does not fit the model: .*expected \(samples, 2\)"):
        tabular_mlp(inputs="normalization", adapt_to=data)


def test_data_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="cannot be read as numbers: received list"):
        tabular_mlp(inputs="normalization", adapt_to=[["young", "rich"]])


def test_data_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite: received 1 of them"):
        tabular_mlp(inputs="normalization", adapt_to=[[20, 1.0], [30, float("nan")]])


@pytest.mark.parametrize("units", [(), 32, (32, 0)])
def test_units_that_are_no_widths_are_refused(units):
    with pytest.raises(ValueError, match="units cannot be used"):
        tabular_mlp(units=units)


def test_with_targets_it_predicts_numbers():
    model = tabular_mlp(features=13, targets=2)
    assert model.output_shape == (None, 2)
    assert model.loss == "mean_squared_error"
    assert model.layers[-1].activation is keras.activations.linear
    for bad in (0, 1.5, True):
        with pytest.raises(ValueError, match="targets cannot be used: received"):
            tabular_mlp(targets=bad)
