"""The command line: exit codes, one clear line for bad input, JSON alone on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

layers = keras.layers
QUICK = ["--seeds", "1", "--epochs", "1", "--steps-per-epoch", "2"]


@pytest.fixture
def table(folder) -> Path:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 4)).astype("float32"), random.integers(0, 3, 60)
    np.savez(folder / "table.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    return folder / "table.npz"


@pytest.fixture
def model(folder) -> Path:
    inputs = keras.Input((4,), name="columns")
    x = layers.Dense(8, "relu", name="left")(inputs) + layers.Dense(8, name="right")(inputs)
    keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x), name="m").save("m.keras")
    return folder / "m.keras"


def test_compare_writes_store_report_and_best_model(run, folder, model, table):
    code, out, err = run(
        "compare", model, "--data", table, *QUICK, "--store", "s.db", "-o", "best.keras"
    )
    assert code == 0, err
    assert "m on table" in out
    assert "cannot" in out
    assert "trial 3/3" in err
    assert (folder / "s.db").exists()
    assert (folder / "s.html").exists()
    assert keras.saving.load_model("best.keras").compiled


def test_json_is_alone_on_stdout(run, model, table):
    code, out, err = run("compare", model, "--data", table, *QUICK, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["verdict"]["outcome"] == "cannot_tell"
    assert Path(document["store"]).exists()
    assert Path(document["report"]).exists()
    assert "trial" in err


def test_a_rerun_repeats_nothing_and_updates_its_own_files(run, model, table):
    arguments = ["compare", model, "--data", table, *QUICK, "--store", "s.db", "--json"]
    first, second = (json.loads(run(*arguments)[1]) for _ in range(2))
    assert first == second


def test_a_builder_in_a_file_serves_as_a_model(run, folder, table):
    (folder / "my.py").write_text(
        textwrap.dedent(
            """
            import keras

            def build():
                return keras.Sequential(
                    [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)]
                )
            """
        )
    )
    code, out, err = run("compare", "my.py:build", "--data", table, *QUICK, "--json")
    assert code == 0, err
    assert json.loads(out)["arms"][0]["name"] == "none"


def test_report_writes_it_again_from_the_store(run, folder, model, table):
    run("compare", model, "--data", table, *QUICK, "--store", "s.db")
    code, out, _ = run("report", "s.db", "-o", "again.html", "--json")
    assert code == 0
    assert json.loads(out)["trials"] == 3
    assert "m on table" in (folder / "again.html").read_text(encoding="utf-8")
    code, _, err = run("report", "s.db", "-o", "again.html")
    assert code == 2
    assert "exists already" in err


def test_the_report_beside_the_store_is_brought_up_to_date(run, folder, model, table):
    run("compare", model, "--data", table, *QUICK, "--store", "s.db")
    (folder / "s.html").write_text("an older page of normcraft")
    code, out, _ = run("report", "s.db")
    assert code == 0
    assert "report: s.html" in out
    assert "m on table" in (folder / "s.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_a_report_is_written_while_the_comparison_runs(
    run, folder, model, table, monkeypatch, ended
):
    from normcraft.trainers import Trainer

    train, seen = Trainer.train_together, []

    def reporting(self, *arguments, **named):
        if len(seen) == ended:
            seen.append(run("report", "s.db", "-o", "now.html", "--json"))
            raise MemoryError("no room")
        seen.append(None)
        return train(self, *arguments, **named)

    monkeypatch.setattr(Trainer, "train_together", reporting)
    run("compare", model, "--data", table, *QUICK, "--store", "s.db")
    code, out, err = seen[ended]
    assert code == 0, err
    document = json.loads(out)
    assert (document["trials"], document["complete"]) == (ended, False)
    assert document["verdict"]["outcome"] == "cannot_tell"
    assert f"running: {ended} of 3 trials" in (folder / "now.html").read_text(encoding="utf-8")
    # The trial that failed is a record as well.
    code, out, _ = run("report", "s.db", "-o", "now.html", "--force", "--json")
    assert code == 0
    assert sum(arm["outcomes"]["failed"] for arm in json.loads(out)["arms"]) == 1


def test_every_arm_failing_exits_with_1(run, model, table, monkeypatch):
    from normcraft.trainers import Trainer

    def failing(self, trials, **named):
        raise MemoryError("no room")

    monkeypatch.setattr(Trainer, "train_together", failing)
    code, out, _ = run("compare", model, "--data", table, *QUICK, "--json")
    assert code == 1
    assert json.loads(out)["verdict"]["winner"] is None


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(run, model, table, monkeypatch):
    from normcraft.trainers import Trainer

    train, calls = Trainer.train_together, []

    def interrupted(self, trials, **named):
        calls.append(trials)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(self, trials, **named)

    monkeypatch.setattr(Trainer, "train_together", interrupted)
    arguments = ["compare", model, "--data", table, *QUICK, "--store", "s.db"]
    code, out, err = run(*arguments)
    assert code == 130
    assert "run the same command again to continue" in err
    assert out == ""
    code, _, err = run(*arguments)
    assert code == 0
    assert "1 of them in the store already" in err


BAD = [
    (["compare", "no_such_recipe"], "no_such_recipe"),
    (["compare", "missing.keras"], "missing.keras"),
    (["compare", "missing.py:build"], "missing.py"),
    (["compare", "digits_cnn", "--data", "missing.npz"], "missing.npz"),
    (["compare", "digits_cnn", "--data", "nothing"], "unknown dataset"),
    (["compare", "--seeds", "0"], "bad number of seeds: received 0"),
    (["compare", "--seeds", "many"], "received 'many'"),
    (["compare", "--epochs", "0"], "bad epochs: received 0"),
    (["compare", "--steps-per-epoch", "0"], "bad steps per epoch"),
    (["compare", "--placements", "nowhere"], "unknown placement: received 'nowhere'"),
    (["compare", "--placements", ","], "placements is empty"),
    (["compare", "--kinds", "bach"], "did you mean 'batch'"),
    (["compare", "--learning-rates", "fast"], "bad learning rates: received 'fast'"),
    (["compare", "--learning-rates", "-1"], "bad learning rate"),
    (["compare", "--batch-sizes", "1.5"], "bad batch sizes"),
    (["compare", "--activations", "reluu"], "activation"),
    (["compare", "--loss", "nonsense"], "unknown loss: received 'nonsense'"),
    (["compare", "--metric", "nonsense"], "unknown metric: received 'nonsense'"),
    (["compare", "--optimizer", "nonsense"], "unknown optimizer: received 'nonsense'"),
    (["compare", "--initial", "zeros"], "unknown initial: received 'zeros'"),
    (["compare", "--rescale", "maybe"], "rescale"),
    (["compare", "--trainer", "quick"], "unknown trainer"),
    (["compare", "--executor", "moon"], "unknown executor"),
    (["compare", "--smallest-effect", "-1"], "bad smallest effect"),
    (["compare", "-o", "best.h5"], "received 'best.h5', expected a path that ends in .keras"),
    (["compare", "-o", "no/such/best.keras"], "there is no folder 'no/such'"),
    (["compare", "--report", "taken.html"], "'taken.html' exists already"),
    (["compare", "-o", "taken.keras"], "'taken.keras' exists already"),
    (["compare", "--store", "taken.html"], "report and store are the same file"),
    (["compare", "--store", "."], "the store is a folder: received '.'"),
    (["compare", "--import", "no_such_module"], "no_such_module"),
    (["compare", "taken.keras"], "taken.keras"),
    (["compare", "--what"], "--what"),
    (["report", "missing.db", "-o", "r.html"], "no store there: received 'missing.db'"),
    (["report", "taken.html", "-o", "r.html"], "cannot be used"),
    (["report", "missing.db"], "no store there"),
    (["compair"], "compair"),
]


@pytest.mark.parametrize(("arguments", "text"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_clear_line_and_exit_2(run, folder, arguments, text):
    for name in ("taken.html", "taken.keras"):
        (folder / name).write_text("somebody's own file")
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert text in err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert (folder / "taken.html").read_text() == "somebody's own file"
    assert (folder / "taken.keras").read_text() == "somebody's own file"
    assert {path.name for path in folder.iterdir()} <= {"taken.html", "taken.keras"}


@pytest.mark.parametrize(("arguments", "text"), BAD[:4] + BAD[-2:])
def test_bad_input_with_json_is_a_document(run, arguments, text):
    code, out, err = run(*arguments, "--json")
    assert code == 2
    error = json.loads(out)["error"]
    assert set(error) == {"message", "received", "expected", "hint"}
    assert text in " ".join(filter(None, error.values()))
    assert err == ""


def test_verbose_shows_the_traceback(run):
    code, _, err = run("compare", "missing.keras", "--verbose")
    assert code == 2
    assert "Traceback" in err


def test_names_from_files_are_printed_escaped(run, folder):
    (folder / "my.py").write_text("def build():\n    raise RuntimeError('\\x1b[31mred')")
    _, _, err = run("compare", "my.py:build", *QUICK)
    assert "\x1b" not in err


@pytest.mark.any_backend
def test_help_and_import_load_no_backend():
    for code in ("import normcraft", "from normcraft.cli.main import main; main(['--help'])"):
        script = (
            "import sys, atexit\n"
            "heavy = {'keras', 'jax', 'tensorflow', 'torch', 'scipy', 'sklearn', 'plotly'}\n"
            "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
            f"{code}"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert done.stderr.strip() == "[]", done.stderr


@pytest.mark.any_backend
def test_every_command_has_help_with_an_example(run):
    for command in ("compare", "place", "remove", "replace", "report"):
        code, out, _ = run(command, "--help")
        assert code == 0
        assert f"Example: normcraft {command}" in " ".join(out.split())


@pytest.mark.any_backend
def test_the_version_is_printed(run):
    assert run("--version")[1].startswith("normcraft 0.")
