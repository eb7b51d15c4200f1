import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcraft._core.errors import InputError
from normcraft.data import from_arrays

X, Y = np.zeros((4, 3), "float32"), np.array([0, 1, 0, 1])


class LikeATensor:
    """What pandas, JAX and TensorFlow have in common for NumPy."""

    def __init__(self, array, error=None):
        self.array, self.shape, self.error = array, array.shape, error

    def __array__(self, dtype=None, copy=None):
        if self.error:
            raise self.error
        return self.array


def test_arrays_are_held_as_they_are():
    data = from_arrays(X, Y, validation_data=(X[:2], Y[:2]), test_data=[X[2:], Y[2:]], name="mine")
    assert data.x_train is X
    assert data.y_train is Y
    assert data.x_validation.base is X
    assert np.shares_memory(data.y_test, Y)
    assert (data.name, data.class_names, data.notes) == ("mine", None, ())


def test_lists_and_whatever_numpy_can_read_become_arrays():
    data = from_arrays([[1, 2], [3, 4]], LikeATensor(np.array([0.5, 1.5])))
    assert data.x_train.tolist() == [[1, 2], [3, 4]]
    assert data.y_train.tolist() == [0.5, 1.5]
    assert from_arrays(((1.0,), (2.0,)), (0, 1)).x_train.shape == (2, 1)
    assert from_arrays([np.float64(1), np.float64(2)], [0, 1]).x_train.shape == (2,)


@pytest.mark.parametrize("library", ["jax.numpy", "torch"])
def test_tensors_of_the_backends_become_arrays(library):
    module = pytest.importorskip(library)
    asarray = getattr(module, "asarray")  # noqa: B009 - the modules have no common type
    data = from_arrays(asarray([[1.0, 2.0]]), asarray([1]))
    assert type(data.x_train) is np.ndarray
    assert data.x_train.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_sequence_of_arrays_is_one_array_an_input(kind):
    data = from_arrays(kind([X, LikeATensor(X)]), {"a": Y, "b": [1, 2, 3, 4]})
    assert isinstance(data.x_train, tuple)
    assert len(data.x_train) == 2
    assert set(data.y_train) == {"a", "b"}
    assert data.num_samples == 4


def refusal(x, y, **keywords):
    with pytest.raises(InputError) as caught:
        from_arrays(x, y, **keywords)
    return str(caught.value)


def test_lengths_that_differ_are_refused():
    assert refusal(X, Y[:3]) == (
        "inputs and targets differ in length: received 4 samples in x, 3 samples in y, "
        "expected as many of each"
    )
    text = refusal([X[0], X[1], X[2], X[3]], Y)
    assert "3 samples in x[0]" in text
    assert "numpy.stack joins samples" in text
    assert "3 samples in y_test" in refusal(X, Y, test_data=(X, Y[:3]))


@pytest.mark.parametrize("x", [[], np.zeros((0, 3)), np.zeros((3, 0)), ()])
def test_empty_data_are_refused(x):
    assert "x is empty: received shape (" in refusal(x, Y)


def test_a_scalar_is_refused():
    assert "x is a single number: received shape ()" in refusal(3.0, Y)


@given(
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.sets(st.integers(0, 11), min_size=1),
    st.sampled_from(["float16", "float32", "float64"]),
)
def test_values_that_are_not_finite_are_counted_and_located(value, places, dtype):
    x = np.zeros(12, dtype)
    x[list(places)] = value
    first = divmod(min(places), 3)
    text = f"{len(places)} such values, the first at index {first}, expected finite numbers"
    assert text in refusal(x.reshape(4, 3), Y)


def test_values_that_are_not_finite_are_named():
    bad = np.array([0.0, 1.0, np.nan, 0.0])
    assert refusal(X, bad).startswith("y holds NaN or infinity: received 1 such values")
    assert refusal({"a": X, "b": bad}, Y).startswith("x['b'] holds NaN or infinity")
    assert refusal(X, Y, validation_data=(X, bad)).startswith("y_validation holds NaN")


def test_extreme_finite_values_are_no_infinity():
    top = np.finfo("float32").max
    from_arrays(np.array([[top], [top], [-top], [-top]], "float32"), Y)


def test_text_labels_are_refused_with_the_mapping():
    text = refusal(X, ["dog", "cat", "dog", "cow\x1b[31m"])
    assert text == (
        "y holds text labels: received 3 of them, expected integer labels; "
        "--labels map (labels='map') or numpy.unique(y, return_inverse=True)[1] numbers them: "
        "'cat' = 0, 'cow\\x1b[31m' = 1, 'dog' = 2"
    )
    assert np.unique(["dog", "cat", "dog", "cow"], return_inverse=True)[1].tolist() == [2, 0, 2, 1]
    assert "y holds text labels" in refusal(X, np.array(["a", "b", "a", "b"], object))
    many = refusal(np.zeros((12, 1)), [f"label {n:02}" for n in range(12)])
    assert many.endswith("'label 09' = 9 and 2 more")


def test_text_inputs_are_refused():
    assert "x holds text: received dtype <U1" in refusal([["a"], ["b"]], Y)


def test_samples_of_several_shapes_are_named():
    images = np.empty(4, object)
    images[:] = [np.zeros((8, 8)), np.zeros((8, 8)), np.zeros((9, 8)), np.zeros((8, 8))]
    assert refusal(images, Y) == (
        "x holds samples of several shapes: received (8, 8) at index 0 and (9, 8) at index 2, "
        "expected one shape a sample; resize or pad them to one shape, then numpy.stack"
    )
    assert "8 samples in x[0]" in refusal(list(images), Y)  # as in Keras: one array an input
    assert "x holds Python objects" in refusal(np.empty(0, object), Y)


def test_python_objects_are_refused():
    mixed = np.array([[1, "a"], [2, "b"]], object)
    assert refusal(mixed, Y).startswith("x holds Python objects: received int objects")
    assert "received generator objects" in refusal((i for i in range(3)), Y)


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "V4"])
def test_what_is_no_real_number_is_refused(dtype):
    assert "x does not hold real numbers: received dtype" in refusal(np.zeros((4, 1), dtype), Y)


def test_what_numpy_cannot_read_is_refused_with_its_reason():
    assert "x cannot be read as one array: received list ('setting an" in refusal([[1], [1, 2]], Y)
    on_device = LikeATensor(X, TypeError("can't convert cuda:0\n"))
    text = refusal(on_device, Y)
    assert 'received LikeATensor ("can\'t convert cuda:0\\n")' in text


def test_a_dictionary_needs_names_and_arrays():
    assert "x is a dictionary without arrays by name: received the keys []" in refusal({}, Y)
    assert "received the keys [0]" in refusal({0: X}, Y)


def test_validation_and_test_data_are_pairs():
    assert "test_data is not a pair: received 3 values, expected (x, y)" in refusal(
        X, Y, test_data=(X, Y, Y)
    )
    assert "validation_data is not a pair: received int" in refusal(X, Y, validation_data=3)


def test_test_data_have_the_shape_of_training_data():
    assert refusal(X, Y, test_data=(X[:, :2], Y)) == (
        "x_test is not shaped like the training data: received samples of shape (2,), expected (3,)"
    )
    assert "y_validation is not shaped" in refusal(X, Y, validation_data=(X, np.eye(4)))
    text = refusal({"a": X}, Y, test_data=({"b": X}, Y))
    assert "samples of shape ['b'] (3,), expected ['a'] (3,)" in text
