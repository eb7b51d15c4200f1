"""Every command × argument × class of failure: one line, exit code 2, no file changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from bad_files import DATA, MODELS, STORES, X, Y, members, pack

layers = keras.layers
HOSTILE = ["", " ", "\n", "a\nb", "\x1b[31mred", "\x00", "ü†\u202e", "'", '"', "../x", "a" * 3000]
NOBODY = 65534
EDITS = {
    "place": ["--placement", "before_activation"],
    "remove": [],
    "replace": ["--kind", "layer"],
    "fold": [],
    "recalibrate": ["--data", "t.npz"],
}
QUICK = ["--seeds", "1", "--epochs", "1", "--steps-per-epoch", "1"]


def edit(name: str, model: str, *more: str) -> list[str]:
    return [name, model, *EDITS[name], *more]


def compare(*more: str, model: str = "m.keras", data: str = "t.npz") -> list[str]:
    return ["compare", model, "--data", data, *QUICK, *more]


# Where a command takes a model: the place is marked by MODEL.
TAKES_MODEL = {
    "compare": compare(model="MODEL"),
    **{name: edit(name, "MODEL", "-o", "out.keras") for name in EDITS},
    "verify first": ["verify", "MODEL", "m.keras"],
    "verify second": ["verify", "m.keras", "MODEL"],
}
TAKES_DATA = {
    "compare --data": compare(data="DATA"),
    "place --calibrate": edit("place", "m.keras", "--calibrate", "DATA", "-o", "out.keras"),
    "fold --data": edit("fold", "m.keras", "--data", "DATA", "-o", "out.keras"),
    "recalibrate --data": ["recalibrate", "m.keras", "--data", "DATA", "-o", "out.keras"],
    "verify --data": ["verify", "m.keras", "m.keras", "--data", "DATA"],
}
TAKES_STORE = {
    "compare --store": compare("--store", "STORE"),
    "report": ["report", "STORE", "-o", "r.html"],
}
WRITES = {
    **{f"{name} -o": edit(name, "m.keras", "-o", "OUT.keras") for name in EDITS},
    "fold -o .onnx": edit("fold", "m.keras", "-o", "OUT.onnx"),
    "compare -o": compare("-o", "OUT.keras"),
    "compare --report": compare("--report", "OUT.html"),
    "report -o": ["report", "s.db", "-o", "OUT.html"],
}
IMPORTS = {name: [*arguments, "--import", "MODULE"] for name, arguments in TAKES_MODEL.items()}


@pytest.fixture(scope="session")
def good(tmp_path_factory) -> Path:
    """A folder with a model, data that fit it, and a store."""
    folder = tmp_path_factory.mktemp("good")
    inputs = keras.Input((4,), name="columns")
    x = layers.BatchNormalization(name="bn")(layers.Dense(8, name="hidden")(inputs))
    x = layers.ReLU(name="relu")(x)
    model = keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x), name="m")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(folder / "m.keras")
    np.savez(folder / "t.npz", x_train=X, y_train=Y)
    rows = [f"{i},{i / 2},3,{-i},{i % 3}" for i in range(40)]
    (folder / "t.csv").write_text("\n".join(["a,b,c,d,label", *rows, ""]))
    from normcraft.studies import Store

    Store(folder / "s.db").close()
    (folder / ".s.db.lock").unlink()
    return folder


@pytest.fixture(autouse=True)
def at_hand(folder, good) -> None:
    for path in good.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())


def snapshot(folder: Path) -> dict[str, bytes | str | None]:
    """Everything below a folder but locks: bytes of files, targets of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".lock":
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


@pytest.fixture
def refused(run, folder):
    """Runs a command that must fail, plainly and with `--json`, and gives its line."""

    def check(*arguments: str, says: str = "", chatter: bool = False) -> str:
        before = snapshot(folder)
        code, out, err = run(*arguments)
        own = err.splitlines(keepends=True)[-1] if chatter else err
        assert (code, out) == (2, ""), err
        assert own.startswith("normcraft: ")
        assert own.endswith("\n")
        assert own.count("\n") == 1, err
        assert own[:-1].isprintable(), err
        assert "Traceback" not in err
        assert not re.search(r"unexpected \w+(Error|Exception)", own), own
        assert says in own
        assert len(own) < 1500
        assert snapshot(folder) == before
        code, out, err = run(*arguments, "--json")
        document = json.loads(out)
        assert (code, list(document)) == (2, ["error"])
        assert chatter or err == ""
        assert all(
            part in own for part in filter(None, document["error"].values()) if "\n" not in part
        )
        assert snapshot(folder) == before
        return own

    return check


def filled(arguments: list[str], **places: str) -> list[str]:
    for place, value in places.items():
        arguments = [value if word == place else word for word in arguments]
    return arguments


def over(*tables):
    """All combinations, with readable names."""
    from itertools import product

    combinations = list(product(*tables))
    return pytest.mark.parametrize(
        "case", combinations, ids=[" / ".join(map(str, one)) for one in combinations]
    )


@over(TAKES_MODEL, MODELS)
def test_models_that_cannot_be_used(refused, folder, case):
    command, kind = case
    spoil, says = MODELS[kind]
    (folder / "bad.keras").write_bytes((folder / "m.keras").read_bytes())
    spoil(folder / "bad.keras")
    line = refused(*filled(TAKES_MODEL[command], MODEL="bad.keras"), says=says)
    assert "bad.keras" in line


@over(TAKES_DATA, DATA)
def test_data_that_cannot_be_used(refused, folder, case):
    command, kind = case
    spoil, says = DATA[kind]
    (folder / "bad.npz").write_bytes((folder / "t.npz").read_bytes())
    spoil(folder / "bad.npz")
    refused(*filled(TAKES_DATA[command], DATA="bad.npz"), says=says)


@over(TAKES_STORE, STORES)
def test_stores_that_cannot_be_used(refused, folder, case):
    command, kind = case
    spoil, says = STORES[kind]
    (folder / "bad.db").write_bytes((folder / "s.db").read_bytes())
    spoil(folder / "bad.db")
    refused(*filled(TAKES_STORE[command], STORE="bad.db"), says=says)


BUILDERS = {
    "missing file": ("no.py:build", None, "no such Python file"),
    "missing function": ("b.py:biuld", "def build(): ...", "did you mean 'build'?"),
    "no function named": ("b.py:", "def build(): ...", "no function is named"),
    "private text": ("b.py:1+1", "def build(): ...", "no function is named"),
    "syntax": ("b.py:build", "def build(:\n", "SyntaxError"),
    "null bytes": ("b.py:build", "def build(): ...\0", "cannot be run"),
    "fails at once": ("b.py:build", "1 / 0", "ZeroDivisionError"),
    "leaves at once": ("b.py:build", "import sys; sys.exit(0)", "SystemExit"),
    "fails": ("b.py:build", "def build(): raise OSError(28, 'full')", "failed while it built"),
    "fails with lines": ("b.py:build", "def build(): raise ValueError('a\\nb')", "ValueError: 'a'"),
    "leaves": ("b.py:build", "import sys\ndef build(): sys.exit(3)", "SystemExit: '3'"),
    "never ends": ("b.py:build", "def build(): return build()", "RecursionError"),
    "takes all memory": ("b.py:build", "def build(): raise MemoryError", "MemoryError"),
    "generator": ("b.py:build", "def build(): yield 1", "received a generator"),
    "coroutine": ("b.py:build", "async def build(): ...", "coroutine"),
    "returns nothing": ("b.py:build", "def build(): ...", "`return model`"),
    "returns a class": ("b.py:build", "import keras\ndef build(): return keras.Model", "a type"),
    "returns a layer": (
        "b.py:build",
        "import keras\ndef build(): return keras.layers.Dense(3)",
        "a Dense",
    ),
    "returns what is not built": (
        "b.py:build",
        "import keras\ndef build(): return keras.Sequential([keras.layers.Dense(3)], name='m')",
        "built",
    ),
    "no callable": ("b.py:build", "build = 3", "is no function"),
    "needs arguments": ("b.py:build", "def build(n): ...", "'n'"),
    "missing module": ("no_such_package.models:build", None, "there is no module"),
    "no module's name": ("no-such.models:build", None, "no module's name"),
    "hostile text": ("b.py:build", "def build(): raise ValueError('\\x1b[31m')", r"\x1b[31m"),
}


@pytest.mark.filterwarnings("ignore:coroutine")
@over(TAKES_MODEL, BUILDERS)
def test_builders_that_cannot_be_used(refused, folder, case):
    command, kind = case
    name, source, says = BUILDERS[kind]
    if source is not None:
        (folder / "b.py").write_text(source)
    refused(*filled(TAKES_MODEL[command], MODEL=name), says=says)


@over(TAKES_MODEL)
def test_what_a_builder_prints_stays_out_of_the_document(refused, folder, case):
    (folder / "b.py").write_text("print('hello')\ndef build():\n    print('there')")
    arguments = filled(TAKES_MODEL[case[0]], MODEL="b.py:build")
    refused(*arguments, says="return model", chatter=True)


MODULES = {
    "missing": ("no_such_module", None, "there is no module"),
    "missing inside": ("no_such.module", None, "there is no module"),
    "empty name": ("", None, "no module's name"),
    "path": ("my/module.py", None, "no module's name"),
    "hostile name": ("\x1b[31m", None, "no module's name"),
    "raises": ("bad_raises", "raise ValueError('no luck')", "no luck"),
    "leaves": ("bad_leaves", "raise SystemExit", "SystemExit"),
    "syntax": ("bad_syntax", "def f(:", "SyntaxError"),
    "imports what is missing": ("bad_imports", "import no_such_thing", "no_such_thing"),
}


@over(IMPORTS, MODULES)
def test_modules_that_cannot_be_imported(refused, folder, case, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what Python leaves is none of ours
    command, kind = case
    name, source, says = MODULES[kind]
    if source is not None:
        (folder / f"{name}.py").write_text(source)
    refused(*filled(IMPORTS[command], MODEL="m.keras", MODULE=name), says=says)


OUTPUTS = {
    "exists": ("taken", "exists already; choose another path, or overwrite with --force"),
    "is a folder": ("folder", "is a folder"),
    "missing folder": ("no/such/out", "there is no folder 'no/such'"),
    "file as a folder": ("t.npz/out", "there is no folder 't.npz'"),
    "too long": ("a" * 300, "cannot be written"),
    "null byte": ("a\x00b", "null byte"),
}


@over(WRITES, OUTPUTS)
def test_outputs_that_cannot_be_written(refused, folder, case):
    command, kind = case
    name, says = OUTPUTS[kind]
    for suffix in (".keras", ".onnx", ".html"):
        (folder / f"taken{suffix}").write_text("mine")
        (folder / f"folder{suffix}").mkdir()
    arguments = [name + word[3:] if word.startswith("OUT.") else word for word in WRITES[command]]
    refused(*arguments, says=says)


@over([command for command, arguments in WRITES.items() if "OUT.html" not in arguments])
def test_outputs_of_another_suffix(refused, case):
    *arguments, _ = WRITES[case[0]]
    refused(*arguments, "out.txt", says="expected a path that ends in .keras")


SAME = {
    "fold": edit("fold", "m.keras", "-o", "m.keras"),
    "place": edit("place", "m.keras", "-o", "m.keras"),
    "recalibrate": edit("recalibrate", "m.keras", "-o", "m.keras"),
    "remove": edit("remove", "m.keras", "-o", "./m.keras"),
    "replace": edit("replace", "m.keras", "-o", "m.keras"),
    "compare model": compare("-o", "m.keras"),
    "compare data": compare("--report", "t.npz"),
    "compare report in the store": compare("--store", "new.html"),
    "compare report on the store": compare("--store", "new.db", "--report", "new.db"),
    "compare report on the model": compare("--report", "b.keras", "-o", "b.keras"),
    "compare model on the store": compare("--store", "b.keras", "-o", "b.keras"),
    "compare report on somebody's page": compare("--store", "mine.db"),
    "report": ["report", "s.db", "-o", "s.db"],
    "report on somebody's page": ["report", "mine.db"],
    "report of a store that is called a page": ["report", "store.html"],
    "report by force": ["report", "s.db", "-o", "s.db", "--force"],
    "compare data by force": compare("--report", "t.npz", "--force"),
    "compare model by force": compare("--report", "m.keras", "--force"),
}


@over(SAME)
def test_no_output_takes_the_place_of_an_input_or_another_output(refused, folder, case):
    for name in ("mine.db", "store.html"):
        (folder / name).write_bytes((folder / "s.db").read_bytes())
    (folder / "mine.html").write_text("my own page")
    refused(*SAME[case[0]])


NUMBERS = {
    "--seeds": ["0", "-1", "1.5", "nan", "inf", "1e400", "1" * 400, "many", ""],
    "--epochs": ["0", "-1", "1.5", "nan", "1e400", "many", ""],
    "--steps-per-epoch": ["0", "-1", "1.5", "nan", "many", ""],
    "--learning-rates": [
        "0",
        "-1",
        "nan",
        "inf",
        "1e400",
        "0.1,",
        ",",
        "0.1,,0.2",
        "fast",
        "",
        "1,nan",
    ],
    "--batch-sizes": ["0", "-1", "1.5", "nan", "1e3", "32,", "32,,64", "", "many", "9" * 400],
    "--workers": ["0", "-1", "1.5", "nan", "9" * 400, "many", ""],
    "--trial-timeout": ["0", "-1", "nan", "inf", "1e400", "soon", ""],
    "--smallest-effect": ["-1", "nan", "inf", "1e400", "few", ""],
}


@pytest.mark.parametrize(
    ("option", "value"), [(name, value) for name, values in NUMBERS.items() for value in values]
)
def test_numbers_out_of_range(refused, option, value):
    refused(*compare(option, value))


@pytest.mark.parametrize(
    "value",
    ["balance", "", "0", "0=", "=1", "0=1,", "0=1;1=2", "0=-1", "0=nan", "0=inf", "0=1e400", "3=1",
     "-1=1", "a=1", "0.5=1", "0=1,0=2", "0=x", "balanced,0=1", "0==1", "9" * 400 + "=1"],
)  # fmt: skip
def test_class_weights_that_cannot_be_used(refused, value):
    refused(*compare("--class-weight", value), says="class weight")


@pytest.mark.parametrize(
    "value",
    ["", "GPU", "GPU=", "=1", "GPU=0", "GPU=-1", "GPU=nan", "GPU=inf", "GPU=1,", "GPU=1;CPU=1",
     "GPU=1,GPU=2", "GPU=x", "GPU==1", "GPU=" + "9" * 400],
)  # fmt: skip
def test_resources_that_cannot_be_asked_for(refused, value):
    refused(*compare("--executor", "ray", "--worker-resources", value))


@pytest.mark.parametrize("option", ["--ray-address", "--worker-resources"])
def test_what_belongs_to_ray_alone(refused, option):
    arguments = compare("--executor", "processes", option, "GPU=1")
    refused(*arguments, says="belongs to Ray: received")


def test_class_weights_of_numbers_to_predict(refused):
    np.savez("n.npz", x_train=X, y_train=np.linspace(0, 1, len(X)))
    keras.Sequential([keras.Input((4,)), layers.Dense(1)]).save("n.keras")
    arguments = compare("--class-weight", "balanced", model="n.keras", data="n.npz")
    refused(*arguments, says="class weights need labels that are classes")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "nan", "1e400", "9" * 400, "many", ""])
@pytest.mark.parametrize("option", ["--batch-size", "--num-batches"])
def test_numbers_of_recalibrate(refused, option, value):
    refused(*edit("recalibrate", "m.keras", option, value, "-o", "out.keras"))


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e400", "small", ""])
def test_tolerances_out_of_range(refused, value):
    refused("verify", "m.keras", "m.keras", "--tolerance", value, says="tolerance")


NAMES = {
    "compare --placements": (compare("--placements", "NAME"), "before_activatoin"),
    "compare --kinds": (compare("--kinds", "NAME"), "bach"),
    "compare --activations": (compare("--activations", "NAME"), "reluu"),
    "compare --initial": (compare("--initial", "NAME"), "kepp"),
    "compare --loss": (compare("--loss", "NAME"), "mean_squared_eror"),
    "compare --metric": (compare("--metric", "NAME"), "acuracy"),
    "compare --optimizer": (compare("--optimizer", "NAME"), "adan"),
    "compare --labels": (compare("--labels", "NAME"), "mapp"),
    "compare --target": (compare("--target", "NAME", data="t.csv"), "lable"),
    "place --target": (
        edit("place", "m.keras", "--calibrate", "t.csv", "--target", "NAME", "--dry-run"),
        "lable",
    ),
    "fold --target": (
        edit("fold", "m.keras", "--data", "t.csv", "--target", "NAME", "--dry-run"),
        "lable",
    ),
    "verify --target": (
        ["verify", "m.keras", "m.keras", "--data", "t.csv", "--target", "NAME"],
        "lable",
    ),
    "compare --rescale": (compare("--rescale", "NAME"), "noen"),
    "compare --trainer": (compare("--trainer", "NAME"), "fitt"),
    "compare --executor": (compare("--executor", "NAME"), "locla"),
    "compare MODEL": (compare(model="NAME"), "digits_cn"),
    "compare --data": (compare(data="NAME"), "digitz"),
    "place --placement": (["place", "m.keras", "--placement", "NAME", "--dry-run"], "inptu"),
    "place --kind": (edit("place", "m.keras", "--kind", "NAME", "--dry-run"), "lajer"),
    "place --calibrate": (edit("place", "m.keras", "--calibrate", "NAME", "--dry-run"), "digitz"),
    "place --rescale": (
        edit("place", "m.keras", "--calibrate", "t.npz", "--rescale", "NAME", "--dry-run"),
        "noen",
    ),
    "remove --mode": (edit("remove", "m.keras", "--mode", "NAME", "--dry-run"), "flod"),
    "replace --kind": (["replace", "m.keras", "--kind", "NAME", "--dry-run"], "lajer"),
    "fold --rest": (edit("fold", "m.keras", "--rest", "NAME", "--dry-run"), "afine"),
    "fold --data": (edit("fold", "m.keras", "--data", "NAME", "--dry-run"), "digitz"),
    "fold --rescale": (
        edit("fold", "m.keras", "--data", "t.npz", "--rescale", "NAME", "--dry-run"),
        "noen",
    ),
    "verify MODEL": (["verify", "NAME", "m.keras"], "digits_cn"),
    "verify OTHER": (["verify", "m.keras", "NAME"], "digits_cn"),
    "verify --data": (["verify", "m.keras", "m.keras", "--data", "NAME"], "digitz"),
    "verify --rescale": (
        ["verify", "m.keras", "m.keras", "--data", "t.npz", "--rescale", "NAME"],
        "noen",
    ),
    "report STORE": (["report", "NAME", "-o", "r.html"], "s.bd"),
    **{f"{name} MODEL": (edit(name, "NAME", "--dry-run"), "digits_cn") for name in EDITS},
    **{
        f"{name} {option}": (edit(name, "m.keras", option, "NAME", "--dry-run"), "hiden")
        for name in EDITS
        for option in ("--only", "--skip")
    },
    "command": (["NAME", "m.keras"], "comapre"),
}
# What has a list of valid names of its own, so that the nearest can be proposed.
LISTED = [
    name
    for name in NAMES
    if name.split()[1:2] not in (["STORE"], ["--only"], ["--skip"], []) and "--only" not in name
]


@over(LISTED)
def test_the_nearest_valid_name_is_proposed(refused, case):
    arguments, near_miss = NAMES[case[0]]
    line = refused(*filled(arguments, NAME=near_miss), says=near_miss)
    assert "did you mean" in line


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:20])
@pytest.mark.parametrize("place", NAMES)
def test_hostile_names(refused, place, name):
    refused(*filled(NAMES[place][0], NAME=name))


CONTRADICTIONS = [
    (edit("place", "m.keras"), "no output is named"),
    (edit("place", "m.keras", "-o", "o.keras", "--rescale", "none"), "data are to be rescaled"),
    (edit("fold", "m.keras", "-o", "o.keras", "--rescale", "none"), "data are to be rescaled"),
    (["verify", "m.keras", "m.keras", "--rescale", "none"], "data are to be rescaled"),
    (["verify", "m.keras", "m.keras", "--target", "y"], "a target column without data"),
    (compare("--target", "y"), "a target column belongs to a table"),
    (["verify", "m.keras"], "Missing argument"),
    (["verify", "m.keras", "digits_cnn"], "the models have other inputs"),
    (["verify", "m.keras", "m.keras", "m.keras"], "m.keras"),
    (["report"], "Missing argument"),
    (["report", "s.db"], "holds no study yet"),
    (["report", "s.db", "-o", "r.html"], "holds no study yet"),
    (compare("--unknown"), "--unknown"),
    (compare(data="digits"), "the data do not fit the model's input"),
    (compare(model="blog_cnn"), ""),
    (compare("--loss", "mean_squared_error"), ""),
]


@pytest.mark.parametrize(
    ("arguments", "says"), CONTRADICTIONS, ids=lambda v: " ".join(v) if isinstance(v, list) else v
)
def test_contradictions(refused, arguments, says):
    refused(*arguments, says=says)


def test_code_in_a_model_file_is_not_run_unasked(refused, folder):
    keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2)]).save("code.keras")
    for arguments in TAKES_MODEL.values():
        refused(*filled(arguments, MODEL="code.keras"), says="--unsafe")


@pytest.mark.filterwarnings("ignore:Skipping invalid path")
def test_a_model_file_writes_nothing_outside_of_it(run, folder):
    own = folder / "own"
    own.mkdir()
    leaving = {f"{'../' * up}evil": b"evil" for up in range(5)} | {f"{folder}/evil": b"evil"}
    pack(own / "m.keras", members(folder / "m.keras") | leaving)
    before = snapshot(folder)
    assert run("remove", "own/m.keras", "--dry-run")[0] == 0
    assert snapshot(folder) == before


@contextmanager
def without_privileges(folder):
    """As somebody who may not read everything, where root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    folder.chmod(0o777)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["m.keras", "t.npz", "s.db"])
def test_files_that_may_not_be_read(refused, run, folder, name):
    commands = {"m.keras": TAKES_MODEL, "t.npz": TAKES_DATA, "s.db": TAKES_STORE}[name].values()
    for arguments in commands:  # imports everything, which nobody may not
        refused(*filled(arguments, MODEL="no.keras", DATA="no.npz", STORE="m.keras"))
    (folder / name).chmod(0)
    for arguments in commands:
        with without_privileges(folder):
            code, out, err = run(*filled(arguments, MODEL=name, DATA=name, STORE=name))
        assert (code, out) == (2, "")
        assert name in err
        assert err.count("\n") == 1
        assert "unexpected" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        filled(TAKES_MODEL["place"], MODEL="no.keras"),
        filled(TAKES_MODEL["verify second"], MODEL="bad.keras"),
        filled(TAKES_DATA["compare --data"], DATA="bad.npz"),
        compare("--seeds", "none"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_in_a_process_of_its_own(folder, arguments):
    for name in ("bad.keras", "bad.npz"):
        (folder / name).write_bytes(b"\x93NUMPY" * 9)
    before = snapshot(folder)
    command = [sys.executable, "-m", "normcraft.cli.main", *arguments]
    for more in ([], ["--json"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True)
        said, silent = (done.stdout, done.stderr) if more else (done.stderr, done.stdout)
        assert (done.returncode, silent, said.count("\n")) == (2, "", 1), done
        assert snapshot(folder) == before
