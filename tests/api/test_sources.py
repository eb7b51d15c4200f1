"""compare on what can only be passed over, as users of Keras, TensorFlow and PyTorch have it."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

import normcraft as nc
from normcraft._core.errors import InputError
from normcraft.data import find_source, from_source
from normcraft.studies import Budget, Options, Study
from trials import small_model

layers = keras.layers
DATA = nc.load_dataset("digits")
X, Y = DATA.x_train[:200], DATA.y_train[:200]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def compared(*data, **arguments):
    return nc.compare(
        small_model(8), *data, placements=["none", "before_activation"], seeds=1, epochs=1,
        verbose=False, **arguments,
    )  # fmt: skip


class Digits(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()

    def __len__(self):
        return math.ceil(len(Y) / 64)

    def __getitem__(self, number):
        return X[number * 64 : number * 64 + 64], Y[number * 64 : number * 64 + 64]


def batches():
    for number in range(len(Digits())):
        yield Digits()[number]


def shuffled(seed=None):
    order = np.random.default_rng(seed).permutation(len(Y))
    for start in range(0, len(Y), 64):
        rows = order[start : start + 64]
        yield X[rows], Y[rows]


def tf_data(*, shuffle=False, repeat=False):
    tensorflow = pytest.importorskip("tensorflow")
    data = tensorflow.data.Dataset.from_tensor_slices((X, Y))
    data = data.shuffle(len(Y)) if shuffle else data
    return (data.repeat() if repeat else data).batch(64)


def torch_loader(*, shuffle=False):
    torch = pytest.importorskip("torch")
    channels_first = torch.tensor(X).permute(0, 3, 1, 2).requires_grad_()
    data = torch.utils.data.TensorDataset(channels_first, torch.tensor(Y))
    return torch.utils.data.DataLoader(data, 64, shuffle=shuffle)


def torch_dataset():
    return torch_loader().dataset


def unbatched_tf_data():
    return tf_data().unbatch()


SOURCES = [
    Digits,
    lambda: batches,
    batches,
    tf_data,
    unbatched_tf_data,
    torch_loader,
    torch_dataset,
]
NAMES = ["PyDataset", "function", "generator", "tf.data", "samples", "DataLoader", "Dataset"]


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory):
    return compared(X, Y, store=tmp_path_factory.mktemp("arrays") / "runs.db")


@pytest.mark.parametrize("make", SOURCES, ids=NAMES)
def test_whatever_gives_the_rows_of_the_arrays_gives_their_comparison(make, of_arrays):
    result = compared(make())
    assert [arm.mean for arm in result.arms] == [arm.mean for arm in of_arrays.arms]
    hashes = [sorted(record.spec.hash for record in each.records) for each in (result, of_arrays)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "make",
    [lambda: shuffled, lambda: tf_data(shuffle=True), lambda: torch_loader(shuffle=True)],
    ids=["function", "tf.data", "DataLoader"],
)
def test_a_source_that_shuffles_itself_stays_paired_and_a_rerun_continues(make):
    first, second = compared(make()), compared(make())
    assert first.summary.store == second.summary.store
    assert [record.seconds for record in first.records] == [
        record.seconds for record in second.records
    ], "a rerun repeats nothing"
    assert "shuffles itself" in first.summary.notes[0]


@pytest.mark.parametrize(
    "make", [Digits, tf_data, torch_loader], ids=["PyDataset", "tf.data", "DataLoader"]
)
def test_what_is_too_large_is_streamed(make):
    options = Options(memory_limit=0, data_name="my digits")
    result = compared(make(), validation_data=make(), options=options)
    assert all(arm.outcomes["finished"] == 1 for arm in result.arms)
    assert "streamed" in result.summary.notes[0]
    assert result.summary.data == "my digits"
    again = compared(make(), validation_data=make(), options=options)
    assert again.summary.seconds == result.summary.seconds


def test_what_never_ends_is_streamed_by_steps():
    source, validation = tf_data(repeat=True), tf_data()
    with pytest.raises(InputError, match="never ends.*no validation_data"):
        compared(source)
    with pytest.raises(InputError, match="does not say where it ends"):
        compared(source, validation_data=validation)
    result = compared(source, validation_data=validation, budget=Budget(steps_per_epoch=3))
    assert all(arm.outcomes["finished"] == 1 for arm in result.arms)
    assert "never end" in result.summary.notes[0]


def test_several_inputs_by_name():
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([layers.Flatten()(a), b])
    hidden = layers.Dense(8, "relu", name="body")(joined)
    model = keras.Model({"a": a, "b": b}, layers.Dense(10, "softmax", name="head")(hidden))

    def named():
        for x, y in batches():
            yield {"a": x, "b": np.ones((len(y), 3), "float32")}, y

    for options in (Options(), Options(memory_limit=0)):
        result = nc.compare(
            model, named, validation_data=named, seeds=1, epochs=1, verbose=False, options=options,
            placements=["none", "before_activation"],
            budget=Budget(steps_per_epoch=3),
        )  # fmt: skip
        assert all(arm.outcomes["finished"] == 1 for arm in result.arms)


def test_one_hot_labels_and_numbers_to_predict_are_streamed():
    def regression():
        for x, y in batches():
            yield x, y[:, None] / 10.0  # float64

    coded = small_model(8)
    coded.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    number = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)])
    for model, data in ((coded, batches), (number, regression)):
        result = nc.compare(
            model, data, validation_data=data, placements=["none", "input"], seeds=1, epochs=1,
            options=Options(memory_limit=0), budget=Budget(steps_per_epoch=3), verbose=False,
        )  # fmt: skip
        assert all(arm.outcomes["finished"] == 1 for arm in result.arms)


def test_a_source_that_fails_in_a_trial_is_a_failed_record():
    passes = iter(range(100))

    def failing():
        if next(passes) > 3:  # validation data twice, and twice the first rows
            raise OSError("the disk is gone")
        return batches()

    result = compared(
        failing, validation_data=failing, options=Options(memory_limit=0),
        budget=Budget(steps_per_epoch=3),
    )  # fmt: skip
    assert all(arm.outcomes["failed"] == 1 for arm in result.arms)
    assert "the disk is gone" in result.records[0].reason


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(x=batches, y=Y), "labels beside data that have them"),
        (dict(x=Digits(), options=Options(memory_limit=8)), "too large.*no split can be drawn"),
        (dict(x=batches(), options=Options(memory_limit=8)), "only once"),
        (dict(x=X), "in place of x.*tf.data.Dataset"),
    ],
)
def test_bad_sources_are_one_clear_line(arguments, text):
    with pytest.raises(InputError, match=text) as caught:
        nc.compare(small_model(8), verbose=False, **arguments)
    assert "\n" not in str(caught.value)


def test_other_executors_refuse_a_stream_with_the_reason():
    data = from_source(find_source(Digits()), validation_data=(X, Y), memory_limit=0)
    options = Options()
    object.__setattr__(options, "executor", "elsewhere")
    with pytest.raises(InputError, match="streamed.*only one process.*executor 'elsewhere'"):
        Study(small_model(8), data, options=options)


def test_the_limit_is_a_number_of_bytes():
    with pytest.raises(InputError, match="bad memory limit: received -1"):
        Options(memory_limit=-1)
