"""A worker as one value: it needs no file of this machine, and sends back records and models."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import from_arrays
from normcraft.recipes import Reference, load_model
from normcraft.studies import Budget, Grid, Options, Study
from normcraft.studies.best_models import Candidates
from normcraft.studies.hand_out import travelling
from normcraft.studies.packing import each_array
from normcraft.studies.running import own_objects, parts_of
from normcraft.studies.shipping import Parcel, unpacked
from studies.test_packing import OWN_FILE
from trials import trained


def study(model):
    generator = np.random.default_rng(0)
    rows = (generator.normal(size=(60, 4)).astype("float32"), np.arange(60) % 3)
    return Study(
        model,
        from_arrays(*rows, validation_data=rows, test_data=rows),
        grid=Grid(placements=("none", "before_activation")),
        budget=Budget(seeds=1, epochs=1),
        options=Options(executor="processes", trainer="fit"),
    )


def own_model(tmp_path):
    file = tmp_path / "mine" / "own.py"
    file.parent.mkdir()
    file.write_text(OWN_FILE)
    return load_model(f"{file}:build"), file


def shipped(planned, tmp_path):
    from normcraft.executors import ray

    parts = parts_of(planned, Candidates(tmp_path / "models", 1))
    with travelling(parts, ray, own_objects(planned)) as worker:
        # As from an object store: a copy that cannot be written to.
        content = pickle.dumps(worker)
    return read_only(pickle.loads(content))


def read_only(worker):
    def locked(array):
        array.setflags(write=False)
        return array

    packed = worker.packed
    dataset = each_array(packed.parts.dataset, locked)
    return replace(worker, packed=replace(packed, parts=replace(packed.parts, dataset=dataset)))


def test_it_trains_without_any_file_of_this_machine(tmp_path):
    model, file = own_model(tmp_path)
    planned = study(model)
    make_worker = shipped(planned, tmp_path)
    here = parts_of(planned, Candidates(tmp_path / "here", 1))(lambda spec, epoch: None)
    expected = [record.loss for record in trained(here, planned.specs)]
    file.unlink()
    for name in [name for name in sys.modules if name.startswith("normcraft_user_file")]:
        del sys.modules[name]
    parcels = trained(make_worker(lambda spec, epoch: None), planned.specs)
    assert [parcel.record.reason for parcel in parcels] == [None, None]
    assert [parcel.record.loss for parcel in parcels] == pytest.approx(expected, rel=1e-6)
    candidates = Candidates(tmp_path / "back", 1)
    for parcel in parcels:
        record = unpacked(parcel, candidates)
        assert candidates.path(record).read_bytes() == parcel.model


def test_models_that_are_not_the_best_stay_behind(tmp_path):
    record = object()
    candidates = Candidates(tmp_path / "back", 1)
    assert unpacked(Parcel(record, None), candidates) is record
    assert unpacked(record, candidates) is record
    assert not candidates.folder.exists()


def test_a_worker_with_other_versions_is_refused_in_one_line(tmp_path):
    model, _ = own_model(tmp_path)
    worker = replace(shipped(study(model), tmp_path), versions={"keras": "2.0"})
    line = f"other versions.*received keras {keras.__version__}.*expected keras 2.0; install"
    with pytest.raises(InputError, match=line):
        worker(lambda spec, epoch: None)


def test_a_file_travels_alone_and_a_package_whole(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "travelled"
    package.mkdir()
    for name in ("__init__", "inner", "other"):
        (package / f"{name}.py").write_text("class Mine:\n    pass\n")
    (tmp_path / "alone.py").write_text("class Mine:\n    pass\n")
    import alone
    import travelled.inner

    names = ["travelled/__init__.py", "travelled/inner.py", "travelled/other.py"]
    inner, top = Reference.to(travelled.inner.Mine), Reference.to(travelled.Mine)
    assert list(inner.sources()) == list(top.sources()) == names
    assert list(Reference.to(alone.Mine).sources()) == ["alone.py"]
    for reference in (inner, top):
        assert reference.moved(tmp_path / "there").file.startswith(str(tmp_path / "there"))
    for module in ("travelled", "travelled.inner", "alone"):
        monkeypatch.delitem(sys.modules, module)


def test_what_is_installed_does_not_travel(tmp_path):
    for thing in (keras.layers.Dense, pickle.Pickler, int, np.ndarray):
        reference = Reference.to(thing)
        assert reference.sources() == {}
        assert reference.moved(tmp_path) == reference
