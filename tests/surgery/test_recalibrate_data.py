"""Any data source gives what the arrays give, cut anew; what it does wrong is one clear line."""

import weakref

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import layers

from normcraft._core.errors import InputError
from normcraft.data import find_source, load_dataset
from normcraft.kinds import batch
from normcraft.surgery import StatisticsProbe, recalibrate
from normcraft.surgery.source_inputs import source_inputs
from strategies import arrays, randomise, same, untouched

X = np.random.default_rng(0).normal(0.7, 1.5, (600, 3)).astype("float32")
Y = (np.arange(600) % 2).astype("int64")


def network(**names):
    entry = keras.Input((3,), **names)
    hidden = layers.BatchNormalization(name="first")(layers.Dense(4)(entry))
    hidden = layers.Dense(2)(layers.Activation("tanh")(hidden))
    return randomise(keras.Model(entry, layers.BatchNormalization(name="second")(hidden)))


def network_of_two(*, as_dictionary=False):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    both = layers.Concatenate()([layers.Dense(2)(b), layers.Dense(4)(a)])
    entries = {"a": a, "b": b} if as_dictionary else [a, b]
    return randomise(keras.Model(entries, layers.BatchNormalization(name="first")(both)))


def parts(size, *, with_weights=False):
    for start in range(0, 600, size):
        rows = slice(start, start + size)
        weights = [np.ones(len(X[rows]))] * with_weights
        yield (X[rows], Y[rows], *weights)


def check_alike(model, source, expected, **options):
    result = recalibrate(model, source, **options)
    assert result.samples == expected.samples
    for one, other in zip(
        arrays(result.model.variables), arrays(expected.model.variables), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 12

    def __getitem__(self, number):
        return X[50 * number : 50 * number + 50], Y[50 * number : 50 * number + 50]


SOURCES = {
    "generator of pairs": lambda: parts(50),
    "generator of inputs": lambda: (x for x, _ in parts(7)),
    "generator with weights": lambda: parts(600, with_weights=True),
    "function": lambda: lambda: parts(64),
    "PyDataset": Sequence,
    "nested lists": X.tolist,
    "one array in a tuple": lambda: (X,),
    "one array in a list": lambda: [X],
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_what_arrays_give(source):
    model = network()
    with untouched(model):
        check_alike(model, SOURCES[source](), recalibrate(model, X, batch_size=200), batch_size=200)


def test_tf_data_gives_what_arrays_give():
    tf = pytest.importorskip("tensorflow")
    model = network()
    expected = recalibrate(model, X, batch_size=200)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y))
    for made in (dataset.batch(32), dataset, dataset.map(lambda x, _: x).batch(50)):
        check_alike(model, made, expected, batch_size=200)
    taken = recalibrate(model, dataset.batch(32).repeat(), num_batches=3, batch_size=200)
    assert taken.samples == 600
    with pytest.raises(InputError, match="tf.data.Dataset never ends: received no number of batch"):
        recalibrate(model, dataset.batch(32).repeat())


def test_torch_loaders_give_what_arrays_give():
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    pairs = data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    alone = data.TensorDataset(torch.from_numpy(X))
    model = network()
    expected = recalibrate(model, X, batch_size=200)
    for made in (data.DataLoader(pairs, 32), data.DataLoader(alone, 100), pairs, alone):
        check_alike(model, made, expected, batch_size=200)
    check_alike(model, torch.from_numpy(X), expected, batch_size=200)


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_several_inputs_come_as_tuples_lists_or_dictionaries(as_dictionary):
    model = network_of_two(as_dictionary=as_dictionary)
    a, b = X, X[:, :2]
    expected = recalibrate(model, {"a": a, "b": b})
    named = lambda: iter([({"b": b, "a": a}, Y)])  # noqa: E731
    unlabelled = lambda: iter([{"b": b[:300], "a": a[:300]}, {"b": b[300:], "a": a[300:]}])  # noqa: E731
    given = [{"b": b, "a": a}, named, unlabelled, lambda: iter([((a, b), Y)])]
    for source in [*given, *([] if as_dictionary else [(a, b), [a, b]])]:
        check_alike(model, source, expected)


def test_inputs_by_name_need_not_be_in_the_order_of_the_names():
    first, second = keras.Input((3,), name="z"), keras.Input((2,), name="a")
    both = layers.Concatenate()([first, second])
    model = keras.Model([first, second], layers.BatchNormalization(name="n")(both))
    found = recalibrate(model, {"a": X[:, :2], "z": X}).model.get_layer("n")
    np.testing.assert_allclose(batch.statistics(found)[0][:3], X.mean(axis=0), rtol=1e-5)


@given(
    cuts=st.lists(st.integers(1, 120), min_size=1, max_size=8),
    size=st.integers(2, 90),
)
@example(cuts=[100], size=90)
@settings(max_examples=8)
def test_batches_are_cut_anew_and_none_is_a_remnant(cuts, size):
    rows = sum(cuts)
    x = X[np.arange(rows) % 600]
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(name="n")])

    def batches():
        start = 0
        for cut in cuts:
            yield x[start : start + cut]
            start += cut

    seen = list(source_inputs(find_source(batches), size))
    np.testing.assert_array_equal(np.concatenate(seen), x)
    assert max(map(len, seen)) <= size
    assert rows <= size or min(map(len, seen)) >= size // 2
    found = recalibrate(model, batches, batch_size=size).model.get_layer("n") if rows > 1 else None
    if found is not None:
        mean, variance = batch.statistics(found)
        np.testing.assert_allclose(mean, x.mean(axis=0, dtype="float64"), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(variance, x.var(axis=0, dtype="float64"), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("as_source", [False, True])
def test_a_sample_of_batches_is_the_first_rows(as_source):
    model, read = network(), []

    def batches():
        for part in parts(50):
            read.append(len(part[0]))
            yield part

    source = batches if as_source else X
    taken = recalibrate(model, source, batch_size=100, num_batches=2)
    assert taken.samples == 200
    assert same(
        arrays(taken.model.variables),
        arrays(recalibrate(model, X[:200], batch_size=100).model.variables),
    )
    assert sum(read) == 200 * as_source


def test_exactly_as_many_batches_as_there_are_will_do():
    model = network()
    expected = recalibrate(model, X)
    for source in (X, lambda: parts(64)):
        assert recalibrate(model, source, num_batches=3).samples == expected.samples


def test_batches_are_let_go_of_as_soon_as_they_are_measured():
    seen, most = [], 0

    def batches():
        nonlocal most
        for number in range(40):
            made = X[:16] + number
            seen.append(weakref.ref(made))
            most = max(most, sum(one() is not None for one in seen))
            yield made
            del made

    StatisticsProbe(network()).measure(batches())
    assert most <= 6


class Broken:
    def __iter__(self):
        yield X[:50], Y[:50]
        raise OSError("disk gone")


REFUSED = {
    "nothing": (lambda: iter([]), {}, "nothing to estimate statistics from in list_iterator"),
    "no rows": (lambda: iter([(X[:9], Y[:9]), (X[:0], Y[:0])]), {}, "batch 2 of list_iterator is"),
    "too few": (lambda: parts(50), {"num_batches": 4}, "gave fewer batches .* received 3"),
    "shape": (lambda: iter([X[:, :2]]), {}, "list_iterator does not fit the model: received inp"),
    "changing": (lambda: iter([X, X[:, :2]]), {}, "batch 2 of list_iterator is not like the first"),
    "nan": (lambda: iter([X, X * np.nan]), {}, "x from row 512 on in list_iterator holds"),
    "raises": (Broken, {}, "raised an error at batch 2: received OSError: disk gone"),
    "text": (lambda: iter([np.array([["a", "b", "c"]])]), {}, "holds text"),
    "no arrays": (lambda: iter([object()]), {}, "does not fit the model"),
    "dataset": (lambda: load_dataset("digits"), {}, "neither arrays nor batches: .* a Dataset"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_source_is_one_clear_line_and_the_model_stays(case):
    make, options, text = REFUSED[case]
    model = network()
    with untouched(model), pytest.raises(InputError, match=text) as caught:
        recalibrate(model, make(), **options)
    assert "\n" not in str(caught.value)
