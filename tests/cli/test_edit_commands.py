"""`place`, `remove` and `replace`: what they write, say and refuse."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

from strategies import outputs, realistic
from tolerances import assert_close

layers = keras.layers
X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
COMMANDS = {
    "place": ["place", "--placement", "before_activation"],
    "remove": ["remove"],
    "replace": ["replace", "--kind", "layer"],
    "fold": ["fold"],
}
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def model(folder) -> Path:
    inputs = keras.Input((4,), name="columns")
    x = layers.BatchNormalization(name="bn")(layers.Dense(8, name="hidden")(inputs))
    x = layers.LayerNormalization(name="ln")(layers.ReLU(name="relu")(x))
    built = keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x), name="m")
    built.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    built.optimizer.build(built.trainable_variables)
    realistic(built).save("m.keras")
    return folder / "m.keras"


@pytest.fixture
def table(folder) -> Path:
    np.savez(folder / "t.npz", x_train=X, y_train=np.arange(40) % 3)
    return folder / "t.npz"


def names(path: str) -> list[str]:
    return [layer.name for layer in keras.saving.load_model(path).layers]


def document(run, *arguments) -> dict:
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_place_writes_a_plain_compiled_model(run, model):
    code, out, _ = run("place", model, "--placement", "after_activation", "-o", "out.keras")
    assert code == 0
    assert names("out.keras") == ["columns", "hidden", "relu", "relu_batch_normalization", "head"]
    assert keras.saving.load_model("out.keras").compiled
    assert out.splitlines() == [
        "place after_activation (batch) in m.keras",
        "  remove  bn",
        "  remove  ln",
        "  insert  relu  batch",
        "  refuse  head  output layer; name `output` or `after_output` to normalize it",
        "1 inserted, 2 removed, 1 refused",
        "written: out.keras",
    ]


def test_place_as_json(run, model):
    found = document(
        run, "place", model, "--placement", "before_activation", "--kind", "layer", "-o", "o.keras"
    )
    assert found["inserted"] == [{"site": "hidden", "kind": "layer"}]
    assert found["removed"] == ["bn", "ln"]
    assert [row["site"] for row in found["skipped"]] == ["head"]
    assert (found["biases_dropped"], found["output"]) == (0, "o.keras")


def test_place_calibrated_keeps_what_the_model_computes(run, model, table):
    arguments = ["--placement", "before_activation", "--calibrate", table, "-o", "o.keras"]
    found = document(run, "place", model, *arguments)
    assert found["removed"] == ["bn"]
    assert found["folded"] == 1
    assert found["kept"] == [
        {"site": "ln", "reason": "layer normalization takes its statistics from each input"}
    ]
    assert found["inference_difference"] < 1e-5
    assert found["training_difference"] > 0
    left, right = (keras.saving.load_model(path) for path in ("m.keras", "o.keras"))
    assert_close(outputs(right, [X])[0], outputs(left, [X])[0])
    _, out, _ = run("place", model, *arguments[:4], "--dry-run")
    assert "outputs moved by" in " ".join(out.split())
    assert "in training mode (relative)" in " ".join(out.split())


def test_remove_drops_or_folds(run, model):
    assert document(run, "remove", model, "-o", "d.keras")["removed"] == ["bn", "ln"]
    folded = document(run, "remove", model, "--mode", "fold", "-o", "f.keras")
    assert (folded["removed"], folded["folded"]) == (["bn"], 1)
    assert folded["kept"][0]["site"] == "ln"
    left, right = (keras.saving.load_model(path) for path in ("m.keras", "f.keras"))
    assert_close(outputs(right, [X])[0], outputs(left, [X])[0])
    _, out, _ = run("remove", model, "--mode", "fold", "--dry-run")
    assert "  remove  bn  folded into the weights around it" in out
    assert "  keep    ln  layer normalization takes its statistics from each input" in out


def test_fold_writes_what_computes_the_same(run, model, table):
    found = document(run, "fold", model, "--data", table, "-o", "f.keras")
    assert (found["folded"], found["removed"], found["kept"]) == (1, ["bn"], [])
    assert found["equivalent"] is True
    assert 0 < found["max_relative_difference"] < 1e-5
    assert names("f.keras") == ["columns", "hidden", "relu", "ln", "head"]
    _, out, _ = run("fold", model, "--dry-run")
    assert "  remove  bn  folded into the weights around it" in out
    assert "outputs the same to" in out


def test_fold_makes_the_rest_affine_if_asked(run, folder):
    chain = [keras.Input((4,)), layers.ReLU(), layers.BatchNormalization(name="n"), layers.ReLU()]
    realistic(keras.Sequential(chain)).save("r.keras")
    kept = document(run, "fold", "r.keras", "-o", "k.keras")
    assert [row["site"] for row in kept["kept"]] == ["n"]
    found = document(run, "fold", "r.keras", "--rest", "affine", "-o", "a.keras")
    assert found["replaced"] == [{"site": "n", "kind": "affine"}]
    assert found["kept"] == []
    assert type(keras.saving.load_model("a.keras").get_layer("n")) is layers.Rescaling
    assert run("verify", "r.keras", "a.keras")[0] == 0


def spoiled(path: str) -> None:
    built = keras.saving.load_model(path)
    bias = built.get_layer("head").bias
    bias.assign(keras.ops.convert_to_numpy(bias) + np.arange(3))
    built.save("spoiled.keras")


def test_verify_says_whether_two_models_compute_the_same(run, model, table):
    run("fold", model, "-o", "f.keras")
    found = document(run, "verify", model, "f.keras", "--data", table)
    assert found["equivalent"] is True
    assert {row["inputs"] for row in found["differences"]} >= {"given", "normal", "denormal"}
    assert found["rows"] == 40 + 6 * 8
    code, out, _ = run("verify", model, "f.keras")
    assert code == 0
    assert out.splitlines()[-1] == "the models compute the same"
    assert max(map(len, out.splitlines())) <= 80
    spoiled("m.keras")
    code, out, _ = run("verify", model, "spoiled.keras")
    assert code == 1
    assert out.splitlines()[-1] == "the models do not compute the same"
    code, out, _ = run("verify", model, "spoiled.keras", "--json")
    assert (code, json.loads(out)["equivalent"]) == (1, False)


def test_what_does_not_compute_the_same_is_not_written(run, folder, model, monkeypatch):
    code, out, err = run("remove", model, "--verify", "-o", "out.keras")
    assert (code, out) == (1, "")
    assert "the edited copy of 'm' does not compute the same: received a relative diff" in err
    assert err.endswith("nothing was written\n")
    code, out, _ = run("remove", model, "--verify", "-o", "out.keras", "--json")
    assert (code, json.loads(out)["equivalent"]) == (1, False)
    assert {path.name for path in folder.iterdir()} == {"m.keras"}
    assert run("remove", model, "--mode", "fold", "--verify", "-o", "out.keras")[0] == 0


def test_onnx_without_its_packages_says_what_to_install(run, folder, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, _, err = run("fold", model, "-o", "out.onnx")
    assert code == 2
    assert 'pip install "normcraft[export]"' in err
    assert {path.name for path in folder.iterdir()} == {"m.keras"}


def test_replace_swaps_the_kind(run, model):
    found = document(run, "replace", model, "--kind", "rms", "--only", "bn", "-o", "r.keras")
    assert found["replaced"] == [{"site": "bn", "kind": "rms"}]
    assert type(keras.saving.load_model("r.keras").get_layer("bn")) is layers.RMSNormalization


def test_a_selection_edits_a_part(run, model):
    found = document(
        run,
        "place",
        model,
        "--placement",
        "before_activation+output",
        "--skip",
        "head",
        "--dry-run",
    )
    assert [row["site"] for row in found["inserted"]] == ["hidden"]
    both = ["--only", "type=BatchNormalization", "--only", "ln"]
    assert document(run, "remove", model, *both, "--dry-run")["removed"] == ["bn", "ln"]


@every_command
def test_a_dry_run_says_what_the_run_says_and_writes_nothing(run, folder, model, command):
    name, *rest = COMMANDS[command]
    plan = document(run, name, model, *rest, "--dry-run")
    assert plan["output"] is None
    assert {path.name for path in folder.iterdir()} == {"m.keras"}
    done = document(run, name, model, *rest, "-o", "out.keras")
    assert done == plan | {"output": "out.keras"}
    _, out, _ = run(name, model, *rest, "--dry-run")
    assert out.splitlines()[-1] == "nothing was written (--dry-run)"
    assert max(map(len, out.splitlines())) <= 80


@every_command
def test_an_existing_file_is_replaced_only_by_force(run, folder, model, command):
    name, *rest = COMMANDS[command]
    (folder / "mine.keras").write_text("mine")
    code, out, err = run(name, model, *rest, "-o", "mine.keras")
    assert (code, out) == (2, "")
    assert "'mine.keras' exists already; choose another path, or overwrite with --force" in err
    assert (folder / "mine.keras").read_text() == "mine"
    assert run(name, model, *rest, "-o", "mine.keras", "--force")[0] == 0
    assert names("mine.keras")
    before = model.read_bytes()
    assert run(name, model, *rest, "-o", model)[0] == 2
    assert model.read_bytes() == before


def test_a_model_that_holds_nothing_to_edit_says_so(run):
    code, out, _ = run("remove", "digits_cnn", "--dry-run")
    assert code == 0
    assert out.splitlines()[1] == "nothing changed"


def test_a_subclassed_model_from_a_builder_is_edited(run, folder):
    (folder / "my.py").write_text(
        textwrap.dedent(
            """
            import keras
            import numpy as np

            class Net(keras.Model):
                def __init__(self):
                    super().__init__()
                    self.hidden = keras.layers.Dense(8, "relu", name="hidden")
                    self.head = keras.layers.Dense(3, name="head")

                def call(self, x):
                    return self.head(self.hidden(x))

            def build():
                model = Net()
                model(np.zeros((1, 4)))
                return model
            """
        )
    )
    found = document(run, "place", "my.py:build", *COMMANDS["place"][1:], "-o", "o.keras")
    assert found["inserted"] == [{"site": "hidden", "kind": "batch"}]
    assert "hidden_batch_normalization" in names("o.keras")


def test_names_from_a_model_are_printed_escaped(run, folder):
    evil = "bn\x1b[31m[bold]"
    chain = [keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(name=evil)]
    keras.Sequential(chain).save("evil.keras")
    _, out, _ = run("remove", "evil.keras", "--dry-run")
    assert "\x1b" not in out
    assert r"bn\x1b[31m[bold]" in out


OK = ["-o", "out.keras"]
PLACE = ["place", "m.keras", "--placement", "input"]
BAD = [
    (["place"], "Missing argument"),
    (["place", "m.keras", *OK], "Missing option '--placement'"),
    (["place", "m.keras", "--placement", "nowhere", *OK], "unknown placement: received 'nowhere'"),
    (["place", "m.keras", "--placement", "", *OK], "empty placement"),
    ([*PLACE, "--kind", "bach", *OK], "did you mean 'batch'"),
    ([*PLACE, "--only", "zzz", *OK], "only matches no layer of the model: received 'zzz'"),
    ([*PLACE, "--skip", "type=Conv9D", *OK], "skip matches no layer"),
    ([*PLACE, "--only", "", *OK], "only cannot be read: received ''"),
    ([*PLACE, "--calibrate", "nothing", *OK], "unknown dataset"),
    ([*PLACE, "--calibrate", "missing.npz", *OK], "missing.npz"),
    ([*PLACE, "--calibrate", "digits", *OK], "(4,)"),
    ([*PLACE, "--kind", "layer", "--calibrate", "t.npz", *OK], "cannot be calibrated"),
    ([*PLACE, "--calibrate", "t.npz", "--rescale", "maybe", *OK], "rescale"),
    (["remove"], "Missing argument"),
    (["remove", "m.keras", "--mode", "flod", *OK], "did you mean 'fold'"),
    (["remove", "m.keras", "--only", "zzz", *OK], "only matches no layer"),
    (["remove", "m.keras", "--skip", "depth<", *OK], "skip matches no layer"),
    (["fold"], "Missing argument"),
    (["fold", "m.keras", "--rest", "afine", *OK], "did you mean 'affine'"),
    (["fold", "m.keras", "--only", "zzz", *OK], "only matches no layer"),
    (["fold", "m.keras", "--data", "missing.npz", *OK], "missing.npz"),
    (["fold", "m.keras", "--data", "digits", *OK], "(4,)"),
    (["fold", "m.keras", "--data", "t.npz", "--rescale", "maybe", *OK], "rescale"),
    (["verify"], "Missing argument"),
    (["verify", "m.keras"], "Missing argument"),
    (["verify", "m.keras", "missing.keras"], "missing.keras"),
    (["verify", "taken.keras", "m.keras"], "taken.keras"),
    (["verify", "m.keras", "digits_cnn"], "the models have other inputs: received inputs of shape"),
    (["verify", "m.keras", "m.keras", "--tolerance", "0"], "expected a number above 0"),
    (["verify", "m.keras", "m.keras", "--tolerance", "x"], "'x'"),
    (["verify", "m.keras", "m.keras", "--data", "digits"], "(4,)"),
    (["verify", "m.keras", "m.keras", "--data", "missing.npz"], "missing.npz"),
    (["verify", "m.keras", "m.keras", "--import", "no_such_module"], "no_such_module"),
    (["replace", "m.keras", *OK], "Missing option '--kind'"),
    (["replace", "m.keras", "--kind", "bach", *OK], "did you mean 'batch'"),
    (["replace", "m.keras", "--kind", "rms", "--only", "zzz", *OK], "only matches no layer"),
]
EACH = [
    (["missing.keras", *OK], "missing.keras"),
    (["no_such_recipe", *OK], "no_such_recipe"),
    (["missing.py:build", *OK], "missing.py"),
    (["taken.keras", *OK], "taken.keras"),
    (["m.keras"], "no output is named: received neither -o nor --dry-run"),
    (["m.keras", "-o", "out.h5"], "received 'out.h5', expected a path that ends in .keras"),
    (["m.keras", "-o", "no/such/out.keras"], "there is no folder 'no/such'"),
    (["m.keras", "-o", "folder.keras"], "'folder.keras' is a folder"),
    (["m.keras", "-o", "taken.keras"], "'taken.keras' exists already"),
    (["m.keras", "--import", "no_such_module", *OK], "no_such_module"),
    (["m.keras", "--what", *OK], "--what"),
    (["m.keras", "second.keras", *OK], "second.keras"),
]
CASES = BAD + [
    ([name, *arguments, *rest], text)
    for name, *rest in COMMANDS.values()
    for arguments, text in EACH
]


@pytest.mark.parametrize(("arguments", "text"), CASES, ids=[" ".join(a) for a, _ in CASES])
def test_bad_input_is_one_clear_line_and_exit_2(run, folder, model, table, arguments, text):
    (folder / "taken.keras").write_text("somebody's own file")
    (folder / "folder.keras").mkdir()
    before = {path.name for path in folder.iterdir()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert (folder / "taken.keras").read_text() == "somebody's own file"
    assert {path.name for path in folder.iterdir()} == before
    code, out, silent = run(*arguments, "--json")
    error = json.loads(out)["error"]
    assert (code, silent) == (2, "")
    assert all(part in err for part in filter(None, error.values()))


@every_command
def test_a_disk_that_fails_leaves_nothing_behind(run, folder, model, command, monkeypatch):
    def full(self, path, **settings):
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    name, *rest = COMMANDS[command]
    code, out, err = run(name, model, *rest, "-o", "out.keras")
    assert (code, out) == (2, "")
    assert "'out.keras' cannot be written: received No space left on device" in err
    assert {path.name for path in folder.iterdir()} == {"m.keras"}


@every_command
def test_ctrl_c_stops_cleanly(run, folder, model, command, monkeypatch):
    def interrupted(self, path, **settings):
        Path(path).write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "save", interrupted)
    name, *rest = COMMANDS[command]
    assert run(name, model, *rest, "-o", "out.keras")[0] == 130
    assert {path.name for path in folder.iterdir()} == {"m.keras"}
