"""ONNX: Keras's own export, and what ONNX Runtime computes from it."""

import keras
import numpy as np
import pytest
from keras import layers

from normcraft._core.errors import EquivalenceError, OverwriteError, SurgeryError
from normcraft.api import export
from normcraft.api.export import export_onnx
from normcraft.surgery import fold_batch_normalization, trial_inputs
from strategies import realistic

BACKEND = keras.backend.backend()


def model():
    chain = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    return realistic(keras.Sequential([keras.Input((8, 8, 3)), *chain, layers.Dense(5)]))


@pytest.fixture
def onnx(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip({"torch": "onnxscript", "tensorflow": "tf2onnx"}.get(BACKEND, "jax2onnx"))
    return tmp_path / "model.onnx"


@pytest.mark.filterwarnings("ignore")  # the converters' own
def test_a_folded_model_computes_the_same_in_onnx_runtime(onnx):
    folded = fold_batch_normalization(model(), verify=False).model
    found = export_onnx(folded, onnx)
    assert {one.inputs for one in found} >= {"normal", "denormal"}
    assert max(one.relative for one in found) < 1e-5
    assert onnx.stat().st_size > 500
    with pytest.raises(OverwriteError, match="exists already"):
        export_onnx(folded, onnx)
    assert [path.name for path in onnx.parent.iterdir()] == ["model.onnx"]


@pytest.mark.filterwarnings("ignore")
def test_two_inputs_and_two_outputs(onnx):
    first, second = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x = layers.Add()([layers.Dense(3)(first), layers.Dense(3)(second)])
    both = realistic(keras.Model([first, second], [x, layers.Dense(2)(x)]))
    assert len(export_onnx(both, onnx)) == 2 * len(trial_inputs(both))


@pytest.mark.filterwarnings("ignore")
def test_nothing_is_written_where_onnx_runtime_computes_something_else(onnx, monkeypatch):
    run = export._run
    monkeypatch.setattr(export, "_run", lambda *given: [2 * value for value in run(*given)])
    with pytest.raises(EquivalenceError, match="what ONNX Runtime computes is not model"):
        export_onnx(model(), onnx)
    assert not list(onnx.parent.iterdir())


def test_what_keras_cannot_export_is_said_in_one_line(tmp_path, monkeypatch):
    def refuse(self, path, **settings):
        raise NotImplementedError("no such operation")

    monkeypatch.setattr(keras.Model, "export", refuse)
    monkeypatch.setattr(export, "_runtime", lambda: None)
    with pytest.raises(
        SurgeryError, match="Keras cannot export it to ONNX: model 'seq.*no such op"
    ):
        export_onnx(model(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_rows_of_a_fixed_batch_go_one_by_one():
    class Entry:
        name, shape = "x", [2, 3]

    class Session:
        def get_inputs(self):
            return [Entry]

        def run(self, _, feed):
            assert feed["x"].shape == (2, 3)
            return [feed["x"] + 1]

    x = np.arange(18, dtype="float32").reshape(6, 3)
    np.testing.assert_array_equal(export._run(Session(), [x])[0], x + 1)
