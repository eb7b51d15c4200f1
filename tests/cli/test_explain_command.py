"""`normcraft explain` and `nc.explain`: documents, pages, one clear line for bad input."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import normcraft as nc
from normcraft._core.errors import InputError

layers = keras.layers


@pytest.fixture
def table(folder):
    random = np.random.default_rng(0)
    x, y = random.normal(2, 3, (60, 4)).astype("float32"), random.integers(0, 3, 60)
    np.savez(folder / "table.npz", x_train=x, y_train=y)
    return folder / "table.npz"


@pytest.fixture
def model(folder):
    chain = [keras.Input((4,)), layers.BatchNormalization(name="bn"), layers.Dense(8, "relu")]
    model = keras.Sequential([*chain, layers.Dense(3, "softmax", name="head")], name="m")
    model.compile("adam", "sparse_categorical_crossentropy")
    random = np.random.default_rng(1)
    for _ in range(10):
        rows = random.normal(2, 3, (16, 4))
        model.train_on_batch(rows, random.integers(0, 3, 16))
    model.save("m.keras")
    return folder / "m.keras"


def test_the_document_has_the_first_32_rows_in_file_order(run, model, table):
    code, out, _ = run("explain", model, "--data", table, "--json")
    assert code == 0
    (layer,) = json.loads(out)["layers"]
    x = np.load(table)["x_train"][:32].astype("float64")
    assert layer["name"] == "bn"
    assert layer["mean"] == pytest.approx(x.mean(0), rel=1e-6)
    assert layer["variance"] == pytest.approx(x.var(0), rel=1e-6)
    assert layer["epsilon"] == pytest.approx(1e-3)
    assert layer["effective_samples"] == 32
    assert layer["initial_weight"] == pytest.approx(0.99**10)
    assert layer["mode"] == "training"
    loaded = keras.saving.load_model(model)
    gave = [
        keras.ops.convert_to_numpy(loaded.layers[0](x.astype("float32"), training=training))
        for training in (False, True)
    ]
    gap = np.max(np.abs(gave[1] - gave[0])) / np.max(np.abs(gave[1]))
    assert layer["train_inference_gap"] == pytest.approx(gap, rel=1e-3)


def test_steps_given_win_over_those_counted(run, model, table):
    _, out, _ = run("explain", model, "--data", table, "--json", "--steps", "459")
    document = json.loads(out)
    assert document["layers"][0]["initial_weight"] == pytest.approx(0.99**459)
    assert document["layers"][0]["settled_step"] == 459


def test_the_text_fits_80_columns_and_says_what_to_look_at(run, model, table):
    code, out, _ = run("explain", model, "--data", table)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "m on table" in out
    assert "10 training steps so far (counted by the optimizer)" in " ".join(out.split())
    assert "90.4% of its moving averages are still initial values" in " ".join(out.split())
    assert "channel" in out


def test_long_names_and_many_layers_stay_readable(run, folder, table):
    x = inputs = keras.Input((4,))
    for number in range(60):
        x = layers.BatchNormalization(name=f"a_rather_long_name_of_a_layer_number_{number}")(x)
    keras.Model(inputs, layers.Dense(3)(x)).save("deep.keras")
    code, out, _ = run("explain", "deep.keras", "--data", table, "-o", "deep.html")
    assert code == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 220
    page = (folder / "deep.html").read_text("utf-8")
    assert page.count("<details id=") == 60
    assert page.count("<details id=") - page.count("open>\n    <summary>a_rather") >= 57


@pytest.mark.parametrize("option", ["--report", "-o"])
def test_the_page_is_written_and_never_over_another_file(run, folder, model, table, option):
    code, out, _ = run("explain", model, "--data", table, option, "page.html")
    assert code == 0
    assert "report: page.html" in out
    page = (folder / "page.html").read_text("utf-8")
    code, _, err = run("explain", model, "--data", table, option, "page.html")
    assert code == 2
    assert "'page.html' exists already" in err
    assert (folder / "page.html").read_text("utf-8") == page
    assert run("explain", model, "--data", table, option, "page.html", "--force")[0] == 0


def test_training_is_watched(run, model, table):
    code, out, _ = run("explain", model, "--data", table, "--train", "2", "--json")
    assert code == 0
    document = json.loads(out)
    (shift,) = document["shift"]
    assert len(shift["without"]["mean"]) == 3
    assert len(shift["with_normalization"]["moved"]) == 2
    code, out, _ = run("explain", model, "--data", table, "--train", "2")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "moved in 2" in out


def test_a_recipe_and_a_table_serve(run, folder):
    rows = "\n".join(f"{i},{i % 7},{i % 3}" for i in range(40))
    (folder / "t.csv").write_text(f"a,b,label\n{rows}\n")
    code, out, err = run("explain", "tabular_mlp", "--data", "t.csv", "--target", "label", "--json")
    assert code == 0, err
    assert json.loads(out)["layers"]


BAD = {
    ("--layer", "bnn"): ("unknown layer", "did you mean 'bn'?"),
    ("--steps", "-3"): ("steps: received -3", "0 or more"),
    ("--train", "-1"): ("train: received -1", "0 or more"),
    ("--rows", "0"): ("rows: received 0", "1 or more"),
}


@pytest.mark.parametrize("option", BAD, ids=lambda option: option[0])
def test_bad_options_are_one_line(run, model, table, option):
    code, out, err = run("explain", model, "--data", table, *option)
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    for part in BAD[option]:
        assert part in err


def test_data_that_do_not_fit_are_one_line(run, folder, model):
    np.savez(folder / "other.npz", x_train=np.ones((9, 5)), y_train=np.arange(9) % 3)
    code, _, err = run("explain", model, "--data", "other.npz")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "(4,)" in err or "4" in err


def test_data_are_asked_for(run, model):
    code, _, err = run("explain", model)
    assert code == 2
    assert "--data" in err


def test_the_library_takes_arrays_without_labels():
    chain = [keras.Input((4,)), layers.BatchNormalization(name="bn"), layers.Dense(3)]
    model = keras.Sequential(chain, name="m")
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    found = nc.explain(model, x)
    assert found.layers[0].mean == pytest.approx(x[:32].astype("float64").mean(0), abs=1e-6)
    assert "m on arrays" in repr(found)
    assert found.document()["rows"] == 32
    assert nc.explain(model, x.tolist()).layers == found.layers
    assert nc.explain(model, [x]).layers == found.layers


def test_training_without_labels_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(3)])
    with pytest.raises(InputError, match="training needs labels: received x .* and train=3"):
        nc.explain(model, np.ones((40, 4)), train=3)


@pytest.mark.parametrize("x", [np.ones((0, 4)), 3.0, np.array(3.0)])
def test_what_are_no_rows_is_refused(x):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(3)])
    with pytest.raises(InputError):
        nc.explain(model, x)
