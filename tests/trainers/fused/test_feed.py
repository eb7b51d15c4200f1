"""The feed: what the device does not hold trains as what it holds, and nothing is left behind."""

from __future__ import annotations

import signal
import threading
import weakref
from collections import Counter

import keras
import numpy as np
import pytest

pytest.importorskip("jax")

from normcraft import recipes
from normcraft.data import find_source, from_arrays, from_source, load_dataset
from normcraft.studies import Budget, Grid, Options, Store, Study
from normcraft.trainers import FitTrainer, TrialData, ensure_compiled, find_objective
from trials import small_model, spec_of, traced, without_times

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's trainer")

FUSED = "normcraft.trainers.fused"
ROWS = 333


@pytest.fixture(scope="module")
def digits():
    data = load_dataset("digits")
    return data.x_train[:ROWS], data.y_train[:ROWS]


@pytest.fixture
def no_room(monkeypatch):
    """A device that holds nothing, and chunks of few batches."""

    def device(batches=3, row_bytes=8 * 8 * 4 + 8):
        monkeypatch.setattr(f"{FUSED}.resident.device_memory", lambda: 0)
        monkeypatch.setattr(f"{FUSED}.feed.CHUNK_BYTES", batches * 32 * row_bytes)

    return device


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not feeds()


def feeds() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "feed"]


def trainers(model=None, *, speeds=None):
    from normcraft.surgery import place
    from normcraft.trainers.fused import FusedTrainer

    model = model or small_model(dropout=0.3)
    ensure_compiled(model, np.zeros(1, int))
    objective = find_objective(model, np.zeros((2, 8, 8, 1)), np.zeros(2, int))
    model = place(model, "before_activation").model
    fused = FusedTrainer(place(model, "as_given").model, objective, speeds=speeds)
    return fused, FitTrainer(model, objective)


def assert_alike(ours, theirs):
    """Records of a short trial, within rounding."""
    assert ours.outcome == theirs.outcome == "finished", (ours.reason, theirs.reason)
    for name in ("loss", "score", "validation_loss", "validation_score"):
        a, b = ([getattr(point, name) for point in one.curve] for one in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=1e-3)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
    assert ours.score == pytest.approx(theirs.score, abs=0.011)
    assert ours.chance_score == theirs.chance_score


def convolutional():
    return recipes.digits_cnn()


@pytest.mark.parametrize(
    ("build", "given", "steps"),
    [(small_model, True, 7), (small_model, False, None), (convolutional, False, 5)],
)
def test_a_chunk_cut_changes_no_number(digits, no_room, build, given, steps):
    validation = {"validation_data": digits, "test_data": digits} if given else {}
    data = TrialData.of_seed(from_arrays(*digits, **validation), 0, {1: 3.0})
    spec = spec_of("a", steps_per_epoch=steps)
    fused, _ = trainers(build())
    assert fused._convolves is not (build is small_model)
    held = fused.train(spec, data)
    weights = fused.model.get_weights()
    no_room()
    fed = fused.train(spec, data)
    assert held.outcome == "finished"
    assert without_times(fed) == without_times(held)
    for ours, theirs in zip(fused.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_arrays_in_a_file_and_of_double_precision(digits, no_room, tmp_path):
    x, y = digits
    np.save(tmp_path / "x.npy", x.astype("float64"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    fused, _ = trainers()
    spec = spec_of("a", steps_per_epoch=None)
    held = fused.train(spec, TrialData.of_seed(from_arrays(x, y), 0))
    no_room()
    dataset = from_arrays(mapped, y)
    assert np.shares_memory(dataset.x_train, mapped)
    assert without_times(fused.train(spec, TrialData.of_seed(dataset, 0))) == without_times(held)


def test_several_inputs(digits, no_room):
    x, y = digits
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(a), b])
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(10, "softmax")(joined))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = from_arrays({"a": x, "b": x[:, 0, :2, 0] * 2}, y)
    from normcraft.trainers.fused import FusedTrainer

    objective = find_objective(model, {"a": x[:2], "b": x[:2, 0, :2, 0]}, y[:2])
    fused, trial, spec = FusedTrainer(model, objective), TrialData.of_seed(data, 1), spec_of("a")
    held = fused.train(spec, trial)
    no_room()
    assert without_times(fused.train(spec, trial)) == without_times(held)


def test_one_program_serves_all_chunks_and_trials(digits, no_room):
    no_room(batches=2)
    fused, _ = trainers()
    data = from_arrays(*digits)
    with traced() as programs:
        fused.train(spec_of("a", steps_per_epoch=None), TrialData.of_seed(data, 0))
    counts = Counter(text.split()[1] for text in programs)
    assert counts["jit(steps)"] == 2, "one to train, one to judge"
    assert counts["jit(_moments_of_all)"] == 1
    with traced() as programs:
        fused.train(spec_of("a", steps_per_epoch=None, seed=1), TrialData.of_seed(data, 1))
    assert not programs


@pytest.mark.parametrize("build", [small_model, convolutional])
def test_two_chunks_are_alive_at_most(digits, no_room, monkeypatch, build):
    from normcraft.trainers.fused import feed

    alive, most, made = 0, 0, 0
    make = feed._chunk

    def gone():
        nonlocal alive
        alive -= 1

    def counting(*arguments):
        nonlocal alive, most, made
        chunk = make(*arguments)
        if chunk is not None:
            alive, made = alive + 1, made + 1
            most = max(most, alive)
            weakref.finalize(chunk.data[0], gone)
        return chunk

    monkeypatch.setattr(feed, "_chunk", counting)
    no_room(batches=1)
    fused, _ = trainers(build())
    fused.train(spec_of("a", steps_per_epoch=None), TrialData.of_seed(from_arrays(*digits), 0))
    assert made > 20
    assert most == 2
    assert alive == 0


class Batches:
    """Rows in batches of 50, and which of them were asked for."""

    def __init__(self, x, y, *, fails_at=None, random=None):
        self.x, self.y, self.fails_at, self.random = x, y, fails_at, random
        self.asked = []

    def __len__(self):
        return 7

    def __iter__(self):
        order = np.arange(len(self.y))
        if self.random is not None:
            order = np.random.default_rng(self.random).permutation(order)
            self.random += 1
        for number in range(len(self)):
            self.asked.append(number)
            if len(self.asked) == self.fails_at:
                raise RuntimeError("the disk is gone")
            rows = order[50 * number : 50 * number + 50]
            yield self.x[rows], self.y[rows]


class Sequence(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 7

    def __getitem__(self, index):
        rows = slice(50 * index, 50 * index + 50)
        return self.x[rows], self.y[rows]


def tf_data(x, y):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64, seed=1).batch(40)


def generator(x, y):
    return lambda: ((x[i : i + 30], y[i : i + 30]) for i in range(0, ROWS, 30))


def stream_of(source, digits):
    return from_source(find_source(source), validation_data=digits, memory_limit=0)


@pytest.mark.parametrize("held", [True, False], ids=["held", "no room"])
@pytest.mark.parametrize("steps", [None, 4])
@pytest.mark.parametrize("make", [Batches, Sequence, generator, tf_data])
def test_a_stream_trains_as_by_fit(digits, no_room, make, steps, held):
    if not held:
        no_room()
    if make is generator and steps is None:
        steps = 5  # it does not say how long it is
    spec = spec_of("a", steps_per_epoch=steps)
    records = []
    for trainer in trainers():
        data = TrialData.of_seed(stream_of(make(*digits), digits), 0, {2: 3.0})
        records.append(trainer.train(spec, data))
    assert_alike(*records)


@pytest.mark.parametrize("steps", [None, 4])
def test_a_source_is_asked_for_what_fit_asks_for(digits, steps):
    """Whole passes, to their end; so a source that shuffles itself gives both the same batches."""
    found = []
    for trainer in trainers():
        source = Batches(*digits, random=5)
        data = TrialData.of_seed(stream_of(source, digits), 0)
        source.asked.clear()
        record = trainer.train(spec_of("a", steps_per_epoch=steps, epochs=3), data)
        found.append((source.asked, record))
    (ours, one), (theirs, other) = found
    assert ours == theirs
    assert_alike(one, other)


def failing_study(digits, trainer):
    source = Batches(*digits, fails_at=20)
    return Study(
        small_model(),
        stream_of(source, digits),
        grid=Grid(placements=("none",)),
        budget=Budget(seeds=1, epochs=4),
        options=Options(trainer=trainer),
    )


def test_an_error_in_a_source_is_a_failed_record_as_with_fit(digits, no_room, tmp_path):
    no_room(batches=1)
    reasons = []
    for trainer in ("fused", "fit"):
        with Store(tmp_path / f"{trainer}.db") as store:
            (record,) = failing_study(digits, trainer).run(store).records
        assert (record.outcome, record.spec.trainer) == ("failed", trainer)
        reasons.append(record.reason)
    assert "raised an error at batch" in reasons[0]
    assert "RuntimeError: the disk is gone" in reasons[0]
    assert reasons[0] == reasons[1]


def test_a_trial_that_diverges_reads_no_further(digits, no_room):
    no_room(batches=1)
    fused, _ = trainers(small_model())
    source = Batches(*digits)
    data = TrialData.of_seed(stream_of(source, digits), 0)
    source.asked.clear()
    record = fused.train(spec_of("a", rate=1e38, steps_per_epoch=70), data)
    assert record.outcome == "diverged"
    assert len(source.asked) < 30


@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_is_heard_though_a_source_hangs(digits, monkeypatch):
    monkeypatch.setattr(f"{FUSED}.feed.PATIENCE", 0.01)
    heard, released, main = threading.Event(), threading.Event(), threading.main_thread()

    def hanging():
        while True:
            yield digits
            if threading.current_thread() is not main:
                signal.pthread_kill(main.ident, signal.SIGINT)
                # Again after a while: Python may lose one (see the fixture).
                while not heard.wait(5):
                    signal.pthread_kill(main.ident, signal.SIGINT)
                released.wait()

    fused, _ = trainers()
    data = TrialData.of_seed(stream_of(hanging, digits), 0)

    def train():
        try:
            fused.train(spec_of("a", steps_per_epoch=40), data)
        finally:
            heard.set()

    with pytest.raises(KeyboardInterrupt):
        train()
    (thread,) = feeds()
    released.set()
    thread.join()
    assert fused.train(spec_of("a"), TrialData.of_seed(from_arrays(*digits), 0)).score > 0.2


def test_the_device_holds_what_takes_half_of_its_memory(digits, monkeypatch):
    from normcraft.trainers.fused.resident import is_held

    size = 2 * sum(array.nbytes for array in digits)
    data = from_arrays(*digits, validation_data=digits)
    for memory, held in ((2 * size, True), (2 * size - 2, False)):
        monkeypatch.setattr(f"{FUSED}.resident.device_memory", lambda m=memory: m)
        assert is_held(data) is held


def test_the_fused_trainer_takes_what_the_device_does_not_hold(digits, no_room):
    no_room()
    for dataset in (from_arrays(*digits), stream_of(Batches(*digits), digits)):
        study = Study(small_model(), dataset, budget=Budget(seeds=1, epochs=1))
        assert study.trainer == "fused"
        assert not any("trained by fit" in note for note in study.about.notes)
