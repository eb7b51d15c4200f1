from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from normcraft._core.errors import InputError
from normcraft.data import Dataset, from_arrays, load_dataset, prepare

SCALED = (
    "integer images were scaled from 0..255 to [0, 1]; --rescale none (rescale='none') leaves them "
    "raw"
)
IMAGES = hnp.arrays("uint8", st.tuples(st.integers(1, 4), st.integers(2, 5), st.integers(2, 5)))


def dataset(x, **parts):
    return Dataset("d", x, np.zeros(len(x), "int64"), **parts)


def refusal(x, shape, **keywords):
    data = x if isinstance(x, Dataset) else dataset(x)
    with pytest.raises(InputError) as caught:
        prepare(data, shape, **keywords)
    return str(caught.value)


@given(IMAGES, st.sampled_from(["auto", "none"]), st.booleans())
def test_images_are_scaled_and_given_a_channel_axis(x, rescale, channels_first):
    before = x.copy()
    sides = x.shape[1:]
    wanted = (1, *sides) if channels_first else (*sides, 1)
    data = dataset(x, x_test=x, y_test=np.zeros(len(x)), notes=("earlier",))
    ready = prepare(data, wanted, rescale=rescale)
    expected = x.astype("float64") / (255 if rescale == "auto" else 1)
    assert ready.x_train.shape == (len(x), *wanted)
    assert ready.x_train.dtype == ready.x_test.dtype == np.float32
    np.testing.assert_allclose(ready.x_train.reshape(x.shape), expected, rtol=1e-6)
    np.testing.assert_array_equal(ready.x_test, ready.x_train)
    reshaped = f"samples were reshaped from {sides} to {wanted}"
    assert ready.notes == ("earlier", *([SCALED] if rescale == "auto" else []), reshaped)
    np.testing.assert_array_equal(x, before)
    assert data.notes == ("earlier",)


def test_mnist_fits_the_model_of_the_blog(mnist_file):
    ready = prepare(load_dataset(mnist_file), (28, 28, 1))
    assert ready.x_train.shape == (60000, 28, 28, 1)
    assert (ready.x_train.min(), ready.x_test.max()) == (0.0, 1.0)
    with np.load(mnist_file, allow_pickle=False) as raw:
        expected = raw["x_test"].astype("float32") / 255
    np.testing.assert_array_equal(ready.x_test[..., 0], expected)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((8, 8), (8, 8)),
        ((8, 8), (None, None)),
        ((8, 8), (None, None, 1)),
        ((8, 8), (1, None, None)),
        ((8, 8, 1), (8, 8)),
        ((8, 8, 1), (1, 8, 8)),
        ((1, 8, 8), (8, 8, 1)),
        ((8, 8, 3), (None, None, None)),
        ((20,), (20, 1)),
        ((20, 1), (20,)),
        ((), (1,)),
    ],
)
def test_samples_take_the_shape_the_model_wants(shape, wanted):
    x = np.arange(2 * int(np.prod(shape)), dtype="float32").reshape(2, *shape)
    ready = prepare(dataset(x), wanted).x_train
    assert all(w in {None, n} for n, w in zip(ready.shape[1:], wanted, strict=True))
    np.testing.assert_array_equal(ready.ravel(), x.ravel())


@pytest.mark.parametrize("wanted", [(28, 28, 3), (32, 32, 1), (28,), (784,), (1, 28, 28, 1)])
def test_a_shape_that_does_not_fit_is_refused_with_both(wanted):
    assert refusal(np.zeros((2, 28, 28), "uint8"), wanted) == (
        f"the data do not fit the model's input: received samples of shape (28, 28), "
        f"expected shape {wanted}; reshape the data, or build the model for them"
    )


@pytest.mark.parametrize(
    ("dtype", "top", "limit"),
    [
        ("uint8", 200, 255),
        ("uint16", 200, 65535),
        ("int64", 255, 255),
        ("int32", 256, 65535),
        ("int8", 9, 255),
    ],
)
def test_the_range_follows_the_type_and_for_wide_types_the_values(dtype, top, limit):
    x = np.array([[[0, top], [1, 2]]], dtype)
    ready = prepare(dataset(x), (2, 2))
    np.testing.assert_allclose(ready.x_train, x / limit, rtol=1e-6)
    assert f"0..{limit} to" in ready.notes[0]


@pytest.mark.parametrize("values", [[-1, 5], [0, 65536]])
def test_images_without_a_plain_range_are_refused(values):
    x = np.array([[values, values]])
    assert refusal(x, (2, 2)).startswith(
        f"no range can be told for the integer images: received int64 values from {values[0]} to"
    )
    assert prepare(dataset(x), (2, 2), rescale="none").x_train.max() == values[1]


def test_one_scale_serves_all_parts():
    x = np.array([[[0, 300], [1, 2]]])
    data = dataset(x, x_test=x // 300, y_test=np.zeros(1), x_validation=x, y_validation=np.zeros(1))
    ready = prepare(data, (2, 2))
    assert ready.x_test.max() == np.float32(1 / 65535)
    assert ready.x_validation.max() == np.float32(300 / 65535)


def test_parts_of_two_types_cannot_share_a_scale():
    data = dataset(np.zeros((1, 2, 2), "uint8"), x_test=np.zeros((1, 2, 2)), y_test=np.zeros(1))
    assert "x_test and x_train differ in type" in refusal(data, (2, 2))
    assert prepare(data, (2, 2), rescale="none").x_test.dtype == np.float32


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1)])
def test_integer_tables_and_series_are_cast_and_not_scaled(shape):
    x = np.full(shape, 7, "uint8")
    ready = prepare(dataset(x), shape[1:])
    assert ready.x_train.dtype == np.float32
    assert ready.x_train.max() == 7
    assert ready.notes == ()


@pytest.mark.parametrize("dtype", ["float16", "float64", "bool", "float32"])
def test_floats_become_float32_without_a_note(dtype):
    x = np.ones((2, 4, 4), dtype)
    ready = prepare(dataset(x), (4, 4))
    assert ready.x_train.dtype == np.float32
    assert ready.notes == ()
    assert np.shares_memory(ready.x_train, x) == (dtype == "float32")


@pytest.mark.parametrize("input_dtype", ["int32", "uint8", "int64"])
def test_a_model_of_integers_gets_them_as_they_are(input_dtype):
    x = np.arange(8).reshape(2, 2, 2)
    ready = prepare(dataset(x), (2, 2), input_dtype=input_dtype)
    assert np.shares_memory(ready.x_train, x)
    assert ready.notes == ()


def test_a_model_of_integers_refuses_floats():
    assert refusal(np.zeros((2, 5)), (5,), input_dtype="int32").startswith(
        "x_train holds floats, and the model takes integers: received dtype float64"
    )


def test_several_inputs_are_refused():
    data = from_arrays((np.zeros((2, 3)), np.zeros((2, 4))), [0, 1])
    assert "received a tuple of arrays for input shape (3,), expected one array" in refusal(
        data, (3,)
    )


def test_an_unknown_rescale_is_refused():
    assert "unknown rescale: received 'nnoe', expected one of auto, none" in refusal(
        np.zeros((2, 3)), (3,), rescale="nnoe"
    )


def test_targets_names_and_classes_stay():
    data = replace(load_dataset("digits"), class_names=tuple("abcdefghij"))
    ready = prepare(data, (8, 8, 1))
    assert ready is not data
    assert np.shares_memory(ready.x_train, data.x_train)
    assert (ready.name, ready.class_names, ready.notes) == (data.name, data.class_names, data.notes)
    assert ready.y_train is data.y_train


def test_images_stay_raw_for_a_model_that_scales_them_itself():
    x = np.full((2, 4, 4), 200, "uint8")
    ready = prepare(dataset(x), (4, 4, 1), scaled_by="rescaling")
    assert ready.x_train.max() == 200
    assert ready.x_train.dtype == np.float32
    assert ready.notes[0] == "integer images were left raw, as 'rescaling' in the model scales them"
    assert prepare(dataset(x / 255), (4, 4), scaled_by="rescaling").notes == ()
    assert prepare(dataset(np.array([[[-1, 70000]]])), (1, 2), scaled_by="norm").notes == ()


def test_raw_images_beside_floats_are_refused_for_such_a_model_too():
    data = dataset(np.zeros((1, 2, 2), "uint8"), x_test=np.zeros((1, 2, 2)), y_test=np.zeros(1))
    assert "x_test and x_train differ in type" in refusal(data, (2, 2), scaled_by="rescaling")
