"""Data that can only be passed over: the same arrays whatever the batches, one line for others."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcraft._core.errors import InputError
from normcraft.data import (
    Dataset,
    find_source,
    from_arrays,
    from_source,
    prepare,
    split,
    validation_arrays,
)
from normcraft.data._batches import num_rows, rebatched

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = np.arange(40) % 4


def in_batches(x, y, size):
    return [(x[start : start + size], y[start : start + size]) for start in range(0, len(y), size)]


def dataset(value, **arguments) -> Dataset:
    source = find_source(value)
    assert source is not None
    return from_source(source, **arguments)


def refusal(value, **arguments) -> str:
    with pytest.raises(InputError) as caught:
        dataset(value, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Batches:
    """Passed over again and again."""

    def __init__(self, *batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


class Shuffling:
    """Another order at each pass, drawn from a generator of its own."""

    def __init__(self, seed, x=X, y=Y, *, noise=0.0):
        self.random, self.x, self.y, self.noise = np.random.default_rng(seed), x, y, noise

    def __iter__(self):
        order = self.random.permutation(len(self.y))
        x = self.x + self.noise * self.random.normal(size=self.x.shape).astype("float32")
        return iter(in_batches(x[order], self.y[order], 7))


class Unbatched:
    """What a `tf.data.Dataset` of single samples offers."""

    element_spec = ()

    def __init__(self, cardinality=40):
        self._cardinality = cardinality

    def cardinality(self):
        return self._cardinality

    def as_numpy_iterator(self):
        return zip(X, Y, strict=True)


class Indexed:
    """What a `keras.utils.PyDataset` offers; a plain loop over it would not end."""

    num_batches = 4

    def __getitem__(self, number):
        return X[number * 10 : number * 10 + 10], Y[number * 10 : number * 10 + 10]

    def on_epoch_end(self):
        raise AssertionError("it is the user's, and nothing of the user's is changed")


@st.composite
def cuts(draw):
    """Rows with inputs of one of the structures that Keras takes, and batches of any sizes."""
    rows = draw(st.integers(1, 30))
    kind = draw(st.sampled_from(["array", "tuple", "dict"]))
    a = np.arange(2 * rows, dtype=draw(st.sampled_from(["float32", "uint8", "float64"])))
    a, b = a.reshape(rows, 2), np.arange(rows)[:, None, None]
    x = {"array": a, "tuple": (a, b), "dict": {"b": b, "a": a}}[kind]
    at = sorted(draw(st.sets(st.integers(1, rows))) | {0, rows})
    return x, np.arange(rows) % 3, list(pairwise(at))


def part(arrays, start, stop):
    if isinstance(arrays, dict):
        return {key: array[start:stop] for key, array in arrays.items()}
    if isinstance(arrays, tuple):
        return tuple(array[start:stop] for array in arrays)
    return arrays[start:stop]


@given(cuts())
def test_any_batching_of_the_same_rows_gives_the_same_dataset(example):
    x, y, at = example
    batches = [(part(x, *ends), part(y, *ends)) for ends in at]
    found = dataset(lambda: batches)
    assert found.fingerprint == from_arrays(x, y).fingerprint
    assert type(found.x_train) is type(x)
    assert not found.notes
    assert dataset(iter(batches)).fingerprint == found.fingerprint


@given(st.integers(0, 100), st.integers(0, 100))
def test_rows_of_a_source_that_shuffles_are_sorted_so_that_a_rerun_continues(one, other):
    first, second = (dataset(Shuffling(seed)) for seed in (one, other))
    assert first.fingerprint == second.fingerprint
    assert "shuffles itself" in first.notes[0]
    rows = {(*x, y) for x, y in zip(first.x_train.tolist(), first.y_train.tolist(), strict=True)}
    assert rows == {(*x, y) for x, y in zip(X.tolist(), Y.tolist(), strict=True)}
    for drawn in zip(split(first.y_train, seed=3), split(second.y_train, seed=3), strict=True):
        np.testing.assert_array_equal(*drawn)


def test_values_that_change_from_pass_to_pass_are_said():
    found = dataset(Shuffling(0, noise=0.1))
    assert "other values at each pass" in found.notes[0]
    assert found.fingerprint != dataset(Shuffling(1, noise=0.1)).fingerprint


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_batches_of_another_size_hold_the_same_rows(sizes, size):
    rows, batches, start = np.arange(sum(sizes)), [], 0
    for length in sizes:
        batches.append((rows[start : start + length], -rows[start : start + length]))
        start += length
    found = list(rebatched(iter(batches), size))
    assert [num_rows(batch) for batch in found[:-1]] == [size] * (len(found) - 1)
    assert np.concatenate([x for x, _ in found] or [rows]).tolist() == rows.tolist()
    assert all((x == -y).all() for x, y in found)


def test_a_batch_that_is_filled_anew_is_copied():
    def generator():
        x, y = np.empty((10, 3), "float32"), np.empty(10, int)
        for start in range(0, 40, 10):
            x[:], y[:] = X[start : start + 10], Y[start : start + 10]
            yield x, y

    assert dataset(generator).fingerprint == from_arrays(X, Y).fingerprint
    streamed = dataset(generator, memory_limit=0, validation_data=(X, Y)).stream
    batch = next(streamed.batches(40))
    np.testing.assert_array_equal(batch[0], X)


@pytest.mark.parametrize(
    "value",
    [
        Unbatched(),
        Indexed(),
        Batches(*in_batches(X, Y, 7)),
        (pair for pair in in_batches(X, Y, 9)),
        Indexed,
        lambda: in_batches(X.tolist(), Y.tolist(), 11),
        Batches([X, Y, None]),
    ],
    ids=["tf.data", "PyDataset", "iterable", "generator", "maker", "lists", "no weights"],
)
def test_whatever_can_be_passed_over_becomes_the_same_arrays(value):
    found = dataset(value)
    np.testing.assert_array_equal(found.x_train.astype("float32"), X)
    np.testing.assert_array_equal(found.y_train, Y)


@pytest.mark.parametrize(
    "value", [X, [X, X], {"a": X}, (1, 2), "digits", 3, None, X[0, 0], np.matrix]
)
def test_arrays_and_names_are_no_sources(value):
    assert find_source(value) is None


def raising():
    yield X, Y
    raise RuntimeError("the disk\nis gone")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (raising, "raising() raised an error at batch 2: received RuntimeError: the disk"),
        (lambda size: None, "missing 1 required positional argument"),
        (lambda: None, "'NoneType' object is not iterable"),
        (Batches(), "Batches is empty"),
        (Batches((X[:0], Y[:0])), "Batches is empty"),
        (Batches((X, Y, np.ones(40))), "batch 1 of Batches has sample weights: received 3 parts"),
        (Batches(X), "batch 1 of Batches is no pair of inputs and labels: received ndarray"),
        (Batches({"image": X, "label": Y}), "a dictionary with 'image', 'label'"),
        (Batches((X, Y), (X, Y[1:])), "40 samples in x of batch 2, 39 samples in y of batch 2"),
        (
            Batches((X, Y), (X, Y), (X[:, :2], Y)),
            "batch 3 of Batches is not like the first: received x float32 samples of shape (2,), "
            "expected x float32 samples of shape (3,)",
        ),
        (Batches((X, Y), (X.astype(int), Y)), "received x int64 samples"),
        (Batches(({"a": X}, Y), ({"b": X}, Y)), "received x['b'] float32"),
        (Batches((X, Y), (np.full_like(X, np.nan), Y)), "x holds NaN or infinity"),
        (Batches((X, np.array(["cat"] * 40))), "y holds text labels"),
        (Batches((X, np.array([object()] * 40))), "Python objects"),
        (Batches(([[1, 2], [3]], [0, 1])), "x of batch 1 cannot be read as one array"),
        (Unbatched(-1), "tf.data.Dataset never ends"),
    ],
)
def test_what_cannot_be_used_is_one_line(value, text):
    assert text in refusal(value)


def test_beyond_the_limit_data_are_streamed_where_they_can_be_validated():
    size = X.nbytes + Y.nbytes
    assert not dataset(Indexed(), memory_limit=size).is_stream
    assert "too large to become arrays" in refusal(Indexed(), memory_limit=size - 1)
    found = dataset(Indexed(), memory_limit=size - 1, validation_data=(X, Y))
    assert found.is_stream
    assert found.num_classes == 4
    assert "streamed" in found.notes[0]
    assert not any("other order" in note for note in found.notes)
    for length in (3, 40):
        x, y = zip(*found.stream.batches(length), strict=True)
        np.testing.assert_array_equal(np.concatenate(x), X)
        np.testing.assert_array_equal(np.concatenate(y), Y)
    assert found.stream.rows == 40
    long = found.stream.endless_batches(32)
    assert [next(long)[1].tolist() for _ in range(2)][1] == [*Y[32:], *Y[:24]]


def test_narrow_numbers_count_as_what_training_makes_of_them():
    batches = Batches((np.zeros((8, 100), "uint8"), np.zeros(8, "int32")))
    assert not dataset(batches, memory_limit=8 * 404).is_stream
    assert "too large" in refusal(batches, memory_limit=8 * 404 - 1)


def test_a_stream_that_shuffles_itself_is_said_to_lose_pairing():
    found = dataset(Shuffling(0), memory_limit=0, validation_data=(X, Y))
    assert any("do not share their batches" in note for note in found.notes)


def test_a_stream_is_known_again_by_its_name_alone():
    def made(name, y=Y):
        return dataset(Shuffling(0), memory_limit=0, validation_data=(X, y), name=name)

    assert made("mine").fingerprint == made("mine").fingerprint
    assert made("mine").fingerprint != made("other").fingerprint
    assert made("mine").fingerprint != made("mine", Y[::-1]).fingerprint
    assert made(None).fingerprint != made(None).fingerprint
    assert any("data_name" in note for note in made(None).notes)
    assert not any("data_name" in note for note in made("mine").notes)


def test_what_a_model_needs_is_done_to_every_batch_of_a_stream():
    images = np.arange(24, dtype="uint8").reshape(6, 2, 2)
    batches = Batches(*in_batches(images, np.arange(6), 2))
    held = from_arrays(images, np.arange(6), validation_data=(images, np.arange(6)))
    streamed = dataset(batches, memory_limit=0, validation_data=(images, np.arange(6)))
    held, streamed = prepare(held, (2, 2, 1)), prepare(streamed, (2, 2, 1))
    np.testing.assert_array_equal(next(streamed.stream.batches(6))[0], held.x_train)


def test_a_generator_is_no_stream():
    text = refusal(iter(in_batches(X, Y, 7)), memory_limit=8, validation_data=(X, Y))
    assert "only once" in text
    assert "pass the function that makes the generator" in text
    used_up = iter(in_batches(X, Y, 7))
    text = refusal(lambda: used_up, memory_limit=0, validation_data=(X, Y))
    assert "only once" in text


def test_a_stream_that_gives_nothing_at_a_later_pass_says_so():
    passes = iter([in_batches(X, Y, 7)] * 3 + [[]])
    found = dataset(lambda: next(passes), memory_limit=0, validation_data=(X, Y))
    assert len(list(found.stream.batches(8))) == 5
    with pytest.raises(InputError, match="nothing at another pass"):
        list(found.stream.batches(8))


def test_validation_data_may_be_passed_over_as_well():
    found = dataset(Indexed(), validation_data=Shuffling(0, X[:9], Y[:9]))
    assert len(found.y_validation) == 9
    assert "shuffles itself" in found.notes[0]
    assert validation_arrays((X, Y), None) == ((X, Y), ())
    with pytest.raises(InputError, match="validation data are too large"):
        validation_arrays(Indexed(), 8)
    with pytest.raises(InputError, match="without an end"):
        validation_arrays(Unbatched(-1), None)


def test_what_is_replaced_in_a_stream_stays_a_stream():
    found = dataset(Indexed(), memory_limit=0, validation_data=(X, Y), name="a")
    assert replace(found, name="b").is_stream
    assert math.isclose(float(next(found.stream.batches(1))[0][0, 0]), float(X[0, 0]))
