"""Class weights mean what they mean in `Model.fit`, and make other trials."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import find_source, from_arrays, from_source, load_dataset
from normcraft.studies import Budget, Grid, Options, Store, Study
from normcraft.trainers import Trial, TrialData, ensure_compiled
from normcraft.trainers.class_weight import balanced_weights
from trials import small_model, spec_of, trainer_of, without_times

WEIGHTS = {3: 5.0, 7: 0.0, 1: 2}


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture(scope="module")
def trainer(digits):
    model = small_model()
    ensure_compiled(model, digits.y_train)
    return trainer_of(model, "none", digits)


def study_of(dataset, *, model=None, **options) -> Study:
    return Study(
        model or small_model(),
        dataset,
        grid=Grid(placements=("none", "input")),
        budget=Budget(seeds=1, epochs=1, steps_per_epoch=3),
        options=Options(**options),
    )


def test_balanced_classes_count_alike():
    y = np.repeat([0, 1, 4], [70, 20, 10])
    weights = balanced_weights(y)
    sums = [weights[c] * np.sum(y == c) for c in weights]
    np.testing.assert_allclose(sums, len(y) / 3)
    assert balanced_weights(np.eye(5)[y]) == weights


def test_a_trial_trains_as_fit_does_with_class_weights(trainer, digits):
    """The epoch trained by hand, with Keras's own argument."""
    spec = spec_of("none", epochs=1, steps_per_epoch=None)
    record = trainer.train(spec, TrialData.of_seed(digits, 0, WEIGHTS))
    trained = trainer.model.get_weights()
    data = TrialData.of_seed(digits, 0)
    trainer._begin([Trial(spec, data)])
    x, y = data.epoch(spec, 0)
    history = trainer.model.fit(
        x, y, batch_size=32, shuffle=False, verbose=0, class_weight=WEIGHTS
    ).history
    assert record.curve[0].loss == history["loss"][0]
    for ours, theirs in zip(trained, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_validation_and_metrics_are_not_weighted(trainer, digits):
    data = TrialData.of_seed(digits, 0, WEIGHTS)
    record = trainer.train(spec_of("none"), data)
    values = trainer.model.evaluate(
        data.x_validation, data.y_validation, verbose=0, return_dict=True
    )
    assert record.loss == pytest.approx(values["loss"], rel=1e-5)
    assert record.score == pytest.approx(values["accuracy"], abs=1e-6)
    plain = trainer.train(spec_of("none"), TrialData.of_seed(digits, 0))
    assert record.chance_score == plain.chance_score
    assert record.loss != plain.loss


def test_balanced_weights_are_those_of_the_training_labels_of_each_seed(digits):
    rows = np.flatnonzero((digits.y_train > 1) | (np.arange(len(digits.y_train)) % 5 == 0))
    data = from_arrays(digits.x_train[rows], digits.y_train[rows])
    for seed in (0, 1):
        trial = TrialData.of_seed(data, seed, "balanced")
        assert trial.weight_of_class == balanced_weights(trial.labels)


def test_batches_of_a_stream_are_weighted_too(digits):
    x, y = digits.x_train[:200], digits.y_train[:200]
    held = from_arrays(x, y, validation_data=(x, y))
    streamed = from_source(
        find_source(lambda: iter([(x, y)])), validation_data=(x, y), memory_limit=0
    )
    model = small_model()
    ensure_compiled(model, y)
    trainer = trainer_of(model, "none", digits)
    spec = spec_of("none", shuffle=False, steps_per_epoch=4)
    one, other, plain = (
        trainer.train(spec, TrialData.of_seed(data, 0, weights))
        for data, weights in ((held, WEIGHTS), (streamed, WEIGHTS), (streamed, None))
    )
    assert other.curve[0].loss == pytest.approx(one.curve[0].loss, rel=1e-5)
    assert other.curve[0].loss != pytest.approx(plain.curve[0].loss, rel=1e-3)


def hashes(dataset, **options) -> set[str]:
    return {spec.hash for spec in study_of(dataset, **options).specs}


def test_they_decide_which_trial_it_is(digits):
    plain = study_of(digits)
    assert all(spec.data == f"{digits.fingerprint}/fifth" for spec in plain.specs), (
        "trials without them keep their hash"
    )
    several = [
        hashes(digits, class_weight=weights)
        for weights in (None, "balanced", {0: 1.0}, {0: 2.0}, {0: 2.0, 1: 1.0})
    ]
    assert len(set.union(*several)) == 10
    assert hashes(digits, class_weight={1: 1, np.int64(0): 2}) == several[-1]


def test_a_study_says_that_classes_are_weighted(digits, tmp_path):
    study = study_of(digits, class_weight={1: 2, 0: 0.5})
    with Store(tmp_path / "s.db") as store:
        notes = study.run(store).summary.notes
    said = "class weights in the training loss (scores are not weighted): 0 = 0.5, 1 = 2.0"
    assert said in notes
    assert not any("class weights" in note for note in study_of(digits).about.notes)


@pytest.mark.slow
def test_worker_processes_weigh_classes_as_well(digits, tmp_path):
    results = []
    for name, more in (("local", {}), ("processes", {"executor": "processes", "workers": 1})):
        with Store(tmp_path / f"{name}.db") as store:
            study = study_of(digits, class_weight="balanced", trainer="fit", **more)
            results.append(study.run(store).records)
    for one, other in zip(*results, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)


@pytest.mark.parametrize(
    "weights",
    ["balance", {}, {0: -1.0}, {0: float("nan")}, {0: float("inf")}, {"0": 1.0}, {0: "1"}, [1, 2]],
)
def test_what_is_no_class_weight(weights):
    with pytest.raises(InputError, match=r"bad class weight: received .*expected balanced, or"):
        Options(class_weight=weights)


def two_outputs() -> keras.Model:
    entry = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(entry)
    model = keras.Model(entry, [keras.layers.Dense(10, name=name)(flat) for name in "ab"])
    model.compile("sgd", ["mse", "mse"])
    return model


def test_what_has_no_such_classes_is_refused(digits):
    with pytest.raises(InputError, match="a class that there is not: received -1, 10, expected"):
        study_of(digits, class_weight={10: 1.0, 2: 1.0, -1: 3.0})
    numbers = replace(digits, y_train=digits.x_train[:, 3, 3, 0] * 0.3)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    with pytest.raises(InputError, match="need labels that are classes: received float"):
        study_of(numbers, model=model, class_weight="balanced")
    twice = from_arrays(digits.x_train, (np.zeros((len(digits.x_train), 10)),) * 2)
    with pytest.raises(InputError, match="one output: received 2 outputs"):
        study_of(twice, model=two_outputs(), class_weight={0: 1.0})
    streamed = from_source(
        find_source(lambda: iter([(digits.x_train, digits.y_train)])),
        validation_data=(digits.x_train, digits.y_train),
        memory_limit=0,
    )
    with pytest.raises(InputError, match="classes of streamed data cannot be balanced"):
        study_of(streamed, class_weight="balanced")


def test_a_class_without_samples_may_have_a_weight(digits, trainer):
    rows = digits.y_train != 9
    data = from_arrays(digits.x_train[rows], digits.y_train[rows])
    assert study_of(data, class_weight={9: 4.0}).specs
    spec = spec_of("none")
    one, other = (
        trainer.train(spec, TrialData.of_seed(data, 0, weights)) for weights in (None, {9: 4.0})
    )
    assert without_times(one).curve[0].loss == pytest.approx(other.curve[0].loss, rel=1e-6)
