"""`normcraft recalibrate`: what it writes and says."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from normcraft.kinds import batch
from strategies import randomise

layers = keras.layers
X = np.random.default_rng(0).normal(3, 2, size=(3000, 4)).astype("float32")


@pytest.fixture
def model(folder) -> Path:
    entry = keras.Input((4,), name="columns")
    x = layers.BatchNormalization(name="bn")(entry)
    x = layers.BatchNormalization(name="frozen", trainable=False)(layers.Dense(8)(x))
    x = layers.BatchNormalization(name="deep")(layers.ReLU()(x))
    built = keras.Model(entry, layers.Dense(3, "softmax", name="head")(x), name="m")
    built.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    randomise(built).save("m.keras")
    return folder / "m.keras"


@pytest.fixture(autouse=True)
def table(folder) -> Path:
    np.savez(folder / "t.npz", x_train=X, y_train=np.arange(len(X)) % 3)
    return folder / "t.npz"


def document(run, *arguments) -> dict:
    code, out, err = run("recalibrate", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_it_writes_a_plain_compiled_model_with_the_statistics_of_all_rows(run, model):
    before = model.read_bytes()
    code, out, _ = run("recalibrate", model, "--data", "t.npz", "-o", "out.keras")
    assert code == 0
    assert out.splitlines() == [
        "recalibrate m.keras",
        "  keep  frozen  frozen (trainable=False): training leaves its statistics alone",
        "                too",
        "1 kept, statistics of 2 layers re-estimated over 3,000 samples",
        "written: out.keras",
    ]
    loaded = keras.saving.load_model("out.keras")
    assert loaded.compiled
    mean, variance = batch.statistics(loaded.get_layer("bn"))
    np.testing.assert_allclose(mean, X.mean(axis=0, dtype="float64"), rtol=1e-5)
    np.testing.assert_allclose(variance, X.var(axis=0, dtype="float64"), rtol=1e-5)
    assert model.read_bytes() == before


def test_as_json(run, model):
    found = document(run, model, "--data", "t.npz", "-o", "out.keras")
    assert (found["layers"], found["samples"], found["output"]) == (2, 3000, "out.keras")
    assert [row["site"] for row in found["kept"]] == ["frozen"]


def test_a_sample_layer_by_layer_in_batches_of_a_size(run, model, folder):
    options = ["--data", "t.npz", "--layerwise", "--batch-size", "100", "--num-batches", "4"]
    found = document(run, model, *options, "--dry-run")
    assert (found["layers"], found["samples"], found["output"]) == (2, 400, None)
    assert not (folder / "out.keras").exists()
    _, out, _ = run("recalibrate", model, *options, "--dry-run")
    assert out.splitlines()[-1] == "nothing was written (--dry-run)"
    document(run, model, *options, "-o", "out.keras")
    mean, _ = batch.statistics(keras.saving.load_model("out.keras").get_layer("bn"))
    np.testing.assert_allclose(mean, X[:400].mean(axis=0, dtype="float64"), rtol=1e-5)


def test_tables_do_as_well(run, model, folder):
    rows = [",".join([*map(str, row), str(n % 3)]) for n, row in enumerate(X[:90].tolist())]
    (folder / "t.csv").write_text("\n".join(["a,b,c,d,label", *rows, ""]))
    options = ["--data", "t.csv", "--target", "label", "-o", "out.keras"]
    code, out, _ = run("recalibrate", model, *options, "--json")
    assert (code, json.loads(out)["samples"]) == (0, 90)


def test_a_model_without_batch_normalization_changes_nothing(run):
    code, out, _ = run("recalibrate", "digits_cnn", "--data", "digits", "--dry-run")
    assert code == 0
    assert out.splitlines()[1] == "nothing changed"


def test_an_existing_file_is_replaced_only_by_force(run, model, folder):
    (folder / "mine.keras").write_text("mine")
    code, out, err = run("recalibrate", model, "--data", "t.npz", "-o", "mine.keras")
    assert (code, out) == (2, "")
    assert "'mine.keras' exists already; choose another path, or overwrite with --force" in err
    assert (folder / "mine.keras").read_text() == "mine"
    assert document(run, model, "--data", "t.npz", "-o", "mine.keras", "--force")["layers"] == 2


def test_names_from_a_model_are_printed_escaped(run):
    evil = layers.BatchNormalization(trainable=False, name="bn\x1b[31m[bold]")
    keras.Sequential([keras.Input((4,)), evil]).save("evil.keras")
    _, out, _ = run("recalibrate", "evil.keras", "--data", "t.npz", "--dry-run")
    assert "\x1b" not in out
    assert r"bn\x1b[31m[bold]" in out


OK = ["-o", "out.keras"]
BAD = [
    (["recalibrate"], "Missing argument"),
    (["recalibrate", "m.keras", *OK], "Missing option '--data'"),
    (["recalibrate", "m.keras", "--data", "t.npz"], "received neither -o nor --dry-run"),
    (["recalibrate", "m.keras", "--data", "t.npz", "-o", "o.onnx"], "ends in .keras"),
    (["recalibrate", "m.keras", "--data", "digits", *OK], "(4,)"),
    (["recalibrate", "m.keras", "--data", "nothing", *OK], "unknown dataset"),
    (["recalibrate", "m.keras", "--data", "t.npz", "--rescale", "maybe", *OK], "rescale"),
    (["recalibrate", "m.keras", "--data", "t.npz", "--num-batches", "99", *OK], "num_batches=99"),
    (["recalibrate", "m.keras", "--data", "t.npz", "--batch-size", "0", *OK], "batch_size is no"),
]


@pytest.mark.parametrize(("arguments", "text"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_clear_line_and_exit_2(run, folder, model, arguments, text):
    before = {path.name for path in folder.iterdir()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1, err
    assert {path.name for path in folder.iterdir()} == before
