"""A worker as files: what comes out trains as what went in; the user's classes are found."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import from_arrays
from normcraft.recipes import Reference, load_model
from normcraft.studies import Budget, Grid, Options, Store, Study
from normcraft.studies.best_models import Candidates
from normcraft.studies.packing import pack
from normcraft.studies.running import parts_of
from normcraft.studies.worker import MakeWorker
from normcraft.trainers import Objective

layers = keras.layers

OWN_FILE = """
import keras

class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def own_loss(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

def build():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8, "relu")(Doubled()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x), name="own")
    model.compile("adam", own_loss, metrics=["accuracy"])
    return model
"""


@pytest.fixture
def own_model(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN_FILE)
    return load_model(f"{file}:build")


@pytest.fixture
def rows():
    generator = np.random.default_rng(0)
    return from_arrays(generator.normal(size=(60, 4)).astype("float32"), np.arange(60) % 3)


def study(model, rows, executor):
    return Study(
        model,
        rows,
        grid=Grid(placements=("none", "before_activation")),
        budget=Budget(seeds=2, epochs=1),
        options=Options(executor=executor, workers=1 if executor == "processes" else None),
    )


@pytest.mark.slow
def test_a_model_with_classes_of_the_user_trains_in_worker_processes(own_model, rows, tmp_path):
    with Store(tmp_path / "s.db") as store:
        result = study(own_model, rows, "processes").run(store)
    with Store(tmp_path / "here.db") as store:
        here = study(own_model, rows, "local").run(store)
    assert [record.reason for record in result.records] == [None] * 4
    for one, other in zip(result.records, here.records, strict=True):
        assert one.spec.plan != other.spec.plan
        assert one.loss == pytest.approx(other.loss, rel=1e-5), "threads change rounding alone"
    assert not (tmp_path / "s.models" / "travelling").exists()
    assert sorted(result.best_models) == ["before_activation", "none"]


def test_what_is_kept_from_weight_decay_is_kept_from_it_elsewhere(tmp_path, rows):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), layers.Dense(3)])
    optimizer = keras.optimizers.AdamW()
    optimizer.exclude_from_weight_decay([model.get_layer("a").kernel], ["bias", "gamma"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    found = study(model, rows, "processes")
    parts = parts_of(found, Candidates(tmp_path, 1))
    packed = pickle.loads(pickle.dumps(pack(parts, {}, tmp_path)))
    models = packed(lambda spec, epoch: None)._parts.models
    for one in (found.models, models):
        normalized = one["before_activation"]
        optimizer = normalized.optimizer
        decayed = {v.path for v in normalized.trainable_variables if optimizer._use_weight_decay(v)}
        assert len(decayed) == 2
        assert {path.rsplit("/")[-1] for path in decayed} == {"kernel", "beta"}
        assert not any(path.startswith("a/") for path in decayed)
    model.compile(keras.optimizers.AdamW(), model.loss, metrics=["accuracy"])
    other = study(model, rows, "processes")
    assert {s.hash for s in other.specs}.isdisjoint(s.hash for s in found.specs)


def test_arrays_of_any_structure_come_out_as_they_went_in(tmp_path):
    x = {"a": np.arange(6.0).reshape(3, 2), "b": np.arange(3)}
    y = (np.arange(3), np.ones((3, 2)))
    data = from_arrays(x, y)
    parts = MakeWorker({}, data, Objective("loss", False, False), {}, Candidates(tmp_path, 1))
    packed = pickle.loads(pickle.dumps(pack(parts, {}, tmp_path)))
    found = packed(lambda spec, epoch: None)._parts.dataset
    assert found.fingerprint == data.fingerprint
    assert found.name == data.name


def test_what_stands_in_the_running_script_is_refused_in_one_line():
    mine = type("Mine", (layers.Layer,), {"__module__": "__main__", "__qualname__": "Mine"})
    with pytest.raises(
        InputError, match="'Mine' cannot be found by worker processes.*own module|module of its own"
    ):
        Reference.to(mine)

    class Inner:
        pass

    with pytest.raises(InputError, match="expected a class or function at the top of a module"):
        Reference.to(Inner)


@pytest.mark.parametrize("place", ["plain.py", "pack/inner.py", "pack/__init__.py"])
def test_a_definition_is_found_again_by_its_file(place, tmp_path, monkeypatch):
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.write_text("class Outer:\n    class Inner:\n        pass\n")
    name = place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    module = ModuleType(name)
    module.__file__ = str(file)
    exec(file.read_text(), module.__dict__)
    module.Outer.__module__ = module.Outer.Inner.__module__ = name
    sys.modules[name] = module
    reference = Reference.to(module.Outer.Inner)
    del sys.modules[name]
    assert reference.find().__qualname__ == "Outer.Inner"
    assert str(tmp_path) not in sys.path
