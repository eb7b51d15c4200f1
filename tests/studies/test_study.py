"""Study: paired trials, continued where they stopped, failures recorded."""

from __future__ import annotations

import itertools
import signal
import time
from dataclasses import replace

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import load_dataset
from normcraft.studies import Budget, Grid, Options, Progress, Store, Study, read_study, running
from normcraft.studies.plan import Plan
from trials import small_model, without_times

layers = keras.layers


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def model():
    return small_model()


def study_of(model, digits, *, seeds=2, **arguments) -> Study:
    grid = Grid(placements=("none", "before_activation"), learning_rates=(0.001, 0.01))
    budget = Budget(seeds=seeds, epochs=1, steps_per_epoch=3)
    return Study(model, digits, grid=grid, budget=budget, **arguments)


class Watch(Progress):
    """Remembers what it was told, and may interrupt."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.records, self.finished = [], False

    def start(self, *, total, done, **rest):
        self.total, self.done = total, done

    def record(self, record):
        self.records.append(record)
        if len(self.records) == self.stop_after:
            raise KeyboardInterrupt

    def finish(self):
        self.finished = True


class Interrupting(Progress):
    """Presses Ctrl-C once, after the first epoch."""

    asked = False

    def epoch(self, spec, number):
        if not self.asked:
            self.asked = True
            signal.raise_signal(signal.SIGINT)


def test_seeds_come_first_so_that_what_is_done_is_in_pairs(model, digits):
    specs = study_of(model, digits).specs
    assert [spec.seed for spec in specs] == [0] * 4 + [1] * 4
    assert len({spec.hash for spec in specs}) == 8


def test_an_interrupted_study_goes_on_where_it_stopped(model, digits, tmp_path):
    with Store(tmp_path / "whole.db") as store:
        whole = study_of(model, digits).run(store)
    with Store(tmp_path / "broken.db") as store:
        first = Watch(stop_after=3)
        with pytest.raises(KeyboardInterrupt):
            study_of(model, digits).run(store, progress=first)
        assert first.finished
        running = read_study(store)[0]
        assert not running.complete
        second = Watch()
        resumed = study_of(model, digits).run(store, progress=second)
    assert second.done == 3
    assert len(second.records) == 5
    assert list(map(without_times, resumed.records)) == list(map(without_times, whole.records))
    assert resumed.summary.verdict == whole.summary.verdict
    assert resumed.best_models.keys() == whole.best_models.keys() == {"none", "before_activation"}


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is for JAX's trainer")
def test_after_ctrl_c_all_trials_that_are_trained_at_once_are_kept(
    model, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(running, "make_plan", lambda *_: Plan(together=4))
    study = study_of(model, digits, seeds=4)
    with Store(tmp_path / "s.db") as store:
        with pytest.raises(KeyboardInterrupt):
            study.run(store, progress=Interrupting())
        kept = store.records(study.specs).values()
    assert [(one.spec.arm, one.spec.seed) for one in kept] == [("none", 0)] * 2 + [("none", 1)] * 2


def test_a_clock_that_is_set_back_changes_nothing(model, digits, tmp_path, monkeypatch):
    with Store(tmp_path / "even.db") as store:
        even = study_of(model, digits).run(store)
    hours = itertools.count()
    monkeypatch.setattr(time, "time", lambda: 2e9 - 3600 * next(hours))
    with Store(tmp_path / "back.db") as store:
        with pytest.raises(KeyboardInterrupt):
            study_of(model, digits).run(store, progress=Watch(stop_after=3))
        back = study_of(model, digits).run(store)
    assert list(map(without_times, back.records)) == list(map(without_times, even.records))
    times = [one.seconds for record in back.records for one in (record, *record.curve)]
    assert min(times) > 0


def test_a_rerun_trains_nothing_and_more_seeds_train_only_those(model, digits, tmp_path):
    with Store(tmp_path / "s.db") as store:
        first = study_of(model, digits).run(store)
        again = Watch()
        assert study_of(model, digits).run(store, progress=again).summary == first.summary
        assert again.records == []
        more = Watch()
        result = study_of(model, digits, seeds=3).run(store, progress=more)
    assert [record.spec.seed for record in more.records] == [2] * 4
    assert result.summary.arms[0].seeds == 3
    assert result.best_models == first.best_models


def test_a_crash_in_one_arm_is_a_record_and_takes_its_seed_out(model, digits, tmp_path):
    by_fit = Options(trainer="fit")
    study = study_of(model, digits, options=by_fit)
    broken = study.models["before_activation"]
    fit = broken.fit
    calls = []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise MemoryError("no room left")
        return fit(*args, **kwargs)

    broken.fit = failing
    with Store(tmp_path / "s.db") as store:
        result = study.run(store)
        again = Watch()
        retried = study_of(model, digits, options=by_fit).run(store, progress=again)
    failed = [record for record in result.records if record.outcome == "failed"]
    assert [record.reason for record in failed] == [
        "memory ran out; try a smaller batch size (MemoryError: no room left)"
    ]
    assert [arm.seeds for arm in result.summary.arms] == [1, 1]
    assert len(again.records) == 1, "a failed trial runs again"
    assert [arm.seeds for arm in retried.summary.arms] == [2, 2]


def test_the_best_model_is_that_of_the_best_seed(model, digits, tmp_path):
    with Store(tmp_path / "s.db") as store:
        result = study_of(model, digits).run(store)
    own = [record for record in result.records if record.spec.arm == "none"]
    assert_best(result.best_models["none"], own, digits)


def assert_best(path, records, digits):
    """In the file is the model of the best of an arm's trials."""
    from normcraft.trainers import TrialData

    best = max(records, key=lambda record: record.score)
    data = TrialData.of_seed(digits, best.spec.seed)
    loaded = keras.saving.load_model(path)
    values = loaded.evaluate(data.x_validation, data.y_validation, verbose=0, return_dict=True)
    assert values["accuracy"] == pytest.approx(best.score, abs=1e-6)


def one_placement(model, digits, *, seeds, **factors) -> Study:
    grid = Grid(placements=("before_activation",), learning_rates=(0.01,), **factors)
    return Study(model, digits, grid=grid, budget=Budget(seeds, epochs=1, steps_per_epoch=3))


@pytest.mark.parametrize(
    ("factors", "name"),
    [
        ({"kinds": ("batch", "layer")}, "before_activation/batch"),
        ({"batch_sizes": (32, 64)}, "before_activation/batch32"),
    ],
)
def test_an_arm_that_is_renamed_keeps_its_best_model(model, digits, tmp_path, factors, name):
    with Store(tmp_path / "s.db") as store:
        first = one_placement(model, digits, seeds=2).run(store)
        again = Watch()
        result = one_placement(model, digits, seeds=3, **factors).run(store, progress=again)
    assert [record.spec.seed for record in again.records if record.spec.arm == name] == [2]
    assert result.best_models[name] == first.best_models["before_activation"]
    assert len(set(result.best_models.values())) == 2, "each arm has a file of its own"
    for arm, path in result.best_models.items():
        assert_best(path, [record for record in result.records if record.spec.arm == arm], digits)


def test_the_models_of_the_user_are_untouched(model, digits, tmp_path):
    before = [keras.ops.convert_to_numpy(w).tobytes() for w in model.variables]
    with Store(tmp_path / "s.db") as store:
        study_of(model, digits).run(store)
    assert [keras.ops.convert_to_numpy(w).tobytes() for w in model.variables] == before
    assert not model.compiled


def test_as_given_joins_and_is_the_baseline_where_there_is_normalization(digits):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(10, "softmax"),
        ]
    )
    study = Study(model, digits, budget=Budget(2, 1, 1))
    assert [arm.name for arm in study.arms] == [
        "as_given", "none", "before_activation", "after_activation",
    ]  # fmt: skip
    assert study.about.baseline == "as_given"


def test_an_arm_that_could_insert_nothing_says_so(model, digits):
    study = Study(
        model, digits, grid=Grid(placements=("none", "before_add")), budget=Budget(1, 1, 1)
    )
    assert any(note.startswith("before_add: nothing was inserted") for note in study.about.notes)


def test_an_unknown_baseline_is_one_clear_line(model, digits):
    with pytest.raises(InputError, match="unknown baseline: received 'nothing'"):
        study_of(model, digits, options=Options(baseline="nothing"))


def test_a_study_of_another_model_or_data_has_another_identity(model, digits):
    study = study_of(model, digits)
    assert study.identity == study_of(model, digits).identity
    assert study.identity != study_of(model, replace(digits, x_train=digits.x_train * 2)).identity
    assert study.identity != study_of(model, digits, options=Options(optimizer="sgd")).identity


def test_weights_that_are_kept_are_those_that_the_study_was_given(model, digits, tmp_path):
    study = study_of(model, digits, options=Options(initial="keep", executor="local"))
    records = []
    for name in ("first.db", "again.db"):  # the second run finds trained models
        with Store(tmp_path / name) as store:
            records.append([without_times(one) for one in study.run(store).records])
    assert records[0] == records[1]


def test_weights_that_every_trial_keeps_are_part_of_what_it_is(digits):
    def specs(frozen=0.0, mean=0.0, rate=0.5):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1), name="pixels"),
                layers.Normalization(mean=None, variance=None, name="scale"),
                layers.Flatten(name="flatten"),
                layers.Dense(4, "relu", trainable=False, name="frozen"),
                layers.Dropout(rate, name="dropout", trainable=False),
                layers.Dense(10, "softmax", name="head"),
            ],
            name="same",
        )
        model.get_layer("scale").adapt(digits.x_train[:100] + mean)
        model.get_layer("frozen").set_weights([np.full((64, 4), frozen), np.zeros(4)])
        return {spec.hash for spec in study_of(model, digits).specs}

    given = specs()
    assert given == specs(), "random streams of frozen layers are nobody's"
    assert given.isdisjoint(specs(frozen=1.0))
    assert given.isdisjoint(specs(mean=1.0))


def test_code_of_ones_own_is_part_of_what_a_trial_is(digits):
    def focal(gamma):
        def loss(y, p):
            return keras.ops.mean((1 - p) ** gamma)

        return loss

    def times(factor):
        def activation(x):
            return factor * x

        return activation

    class Weighed(keras.losses.Loss):
        def __init__(self, weight):
            super().__init__()
            self.weight = weight

        def call(self, y, p):
            return self.weight * keras.ops.mean(p, axis=-1)

    def specs(loss, activation="relu", optimizer="sgd"):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1), name="pixels"),
                layers.Flatten(name="flatten"),
                layers.Dense(4, activation, name="hidden"),
                layers.Dense(10, "softmax", name="head"),
            ],
            name="same",
        )
        model.compile(optimizer, loss, loss_weights=np.float64(1), metrics=["accuracy"])
        return frozenset(spec.hash for spec in study_of(model, digits).specs)

    def table(weights, *unknown):
        def loss(y, p, kept=unknown):
            return (
                loss(y, p)
                if weights is None
                else keras.ops.mean(p * keras.ops.cast(weights, "float32"))
            )

        return loss

    def excluding(*names):
        optimizer = keras.optimizers.AdamW()
        optimizer.exclude_from_weight_decay(var_names=names)
        return specs(plain, optimizer=optimizer)

    plain = "sparse_categorical_crossentropy"
    assert excluding("bias", "gamma") == excluding("gamma", "bias")
    assert excluding("bias").isdisjoint(excluding("gamma"))
    assert specs(focal(1.0)) == specs(focal(1.0))
    assert specs(table(np.ones(10), object())) == specs(table(np.ones(10), object()))
    assert specs(Weighed(1.0)) == specs(Weighed(1.0))
    found = [*map(specs, [focal(1.0), focal(5.0), Weighed(1.0), Weighed(2.0), plain])]
    found += [specs(table(np.ones(10))), specs(table(np.zeros(10)))]
    found += [specs(plain, times(2.0)), specs(plain, times(3.0))]
    assert len(frozenset.union(*found)) == sum(map(len, found))
