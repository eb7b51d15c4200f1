"""Files that no command can use, made from good ones, with what the error has to say."""

from __future__ import annotations

import copy
import io
import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
GIGANTIC = 10 << 30


def members(path: Path) -> dict[str, bytes]:
    """What lies in an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Writes an archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def claim(path: Path, member: str, *, size: int = 0, flag: int = 0, method: int = 0) -> None:
    """Lets the directory of an archive claim another size, flag or compression of a member."""
    content = bytearray(path.read_bytes())
    name = member.encode()
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        if content[start + 46 : start + 46 + len(name)] == name:
            if size:  # of 4 bytes, so that 10 GiB take several members
                content[start + 24 : start + 28] = struct.pack("<I", size)
            content[start + 8] |= flag
            content[start + 10] |= method
        start = content.find(b"PK\x01\x02", start + 4)
    path.write_bytes(content)


def without(path: Path, *names: str) -> None:
    """Leaves members out."""
    pack(path, {name: data for name, data in members(path).items() if name not in names})


def put(path: Path, **content: bytes) -> None:
    """Replaces `config` or `weights`."""
    names = {"config": CONFIG, "weights": WEIGHTS}
    pack(path, members(path) | {names.get(name, name): data for name, data in content.items()})


def reconfigure(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the configuration as an object; what `change` returns takes its place."""
    config = json.loads(members(path)[CONFIG])
    put(path, config=json.dumps(change(config) or config).encode())


def layer(config: dict[str, Any], kind: str) -> dict[str, Any]:
    """The configuration of the first layer of a class."""
    return next(one for one in config["config"]["layers"] if one["class_name"] == kind)


def set_in(kind: str, **settings: Any) -> Callable[[Path], None]:
    """Gives other settings to the first layer of a class."""
    return lambda path: reconfigure(path, lambda c: layer(c, kind)["config"].update(settings))


def class_name(name: str, **fields: Any) -> Callable[[Path], None]:
    """Gives another class to the first Dense layer."""
    return lambda path: reconfigure(
        path, lambda c: layer(c, "Dense").update(class_name=name, **fields)
    )


def reweigh(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Changes the weights as an HDF5 file."""
    stream = io.BytesIO(members(path)[WEIGHTS])
    with h5py.File(stream, "r+") as file:
        change(file)
    put(path, weights=stream.getvalue())


def first_array(file: h5py.File) -> str:
    """Name of the first array with more than one axis."""
    found: list[str] = []
    file.visititems(
        lambda name, entry: (
            found.append(name) if isinstance(entry, h5py.Dataset) and entry.ndim > 1 else None
        )
    )
    return found[0]


def array(**settings: Any) -> Callable[[Path], None]:
    """Puts another array in the place of the first one."""

    def change(file: h5py.File) -> None:
        name = first_array(file)
        del file[name]
        file.create_dataset(name, **settings)

    return lambda path: reweigh(path, change)


def write(content: bytes | str) -> Callable[[Path], None]:
    """Puts other bytes in the place of the whole file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


def cut(share: float) -> Callable[[Path], None]:
    """Keeps the beginning of a file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def folder(path: Path) -> None:
    """A folder in the place of a file."""
    path.unlink()
    path.mkdir()


def missing(path: Path) -> None:
    """Nothing in the place of a file."""
    path.unlink()


def dangling(path: Path) -> None:
    """A link to nothing."""
    path.unlink()
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    """A link to itself."""
    path.unlink()
    path.symlink_to(path.name)


def _large_directory(path: Path) -> None:
    pack(path, members(path) | {f"assets/{number}": b"" for number in range(4)})
    for number in range(4):
        claim(path, f"assets/{number}", size=GIGANTIC // 4)


def _twice(path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        layers = config["config"]["layers"]
        layers.insert(1, copy.deepcopy(layers[1]))

    reconfigure(path, change)


def _as_layer(path: Path) -> None:
    reconfigure(path, lambda config: layer(config, "Dense"))


def _all_nan(config: dict[str, Any]) -> None:
    layer(config, "BatchNormalization")["config"].update(epsilon=float("nan"), momentum="fast")


MODELS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (missing, "no such model file"),
    "folder": (folder, "received a folder"),
    "dangling link": (dangling, "neither a file nor a folder"),
    "link to itself": (loop, "neither a file nor a folder"),
    "empty": (write(b""), "received an empty file"),
    "cut short": (cut(0.5), "no archive, expected a file that model.save"),
    "cut at the end": (cut(0.99), "no archive"),
    "text": (write("dear model\n"), "bytes that are no archive"),
    "picture": (write(PNG), "bytes that are no archive"),
    "HDF5": (write(b"\x89HDF\r\n\x1a\n" + bytes(999)), "load it as .h5 and save it as .keras"),
    "no config": (lambda path: without(path, CONFIG), "without config.json"),
    "no weights": (lambda path: without(path, WEIGHTS), "without model.weights.h5"),
    "config not JSON": (lambda path: put(path, config=b"{"), "JSONDecodeError"),
    "config empty": (lambda path: put(path, config=b""), "JSONDecodeError"),
    "config not text": (lambda path: put(path, config=b"\xff\xfe\xfd"), "UnicodeDecodeError"),
    "config a list": (lambda path: put(path, config=b"[]"), "cannot be loaded"),
    "config a number": (lambda path: put(path, config=b"1e400"), "cannot be loaded"),
    "config null": (lambda path: put(path, config=b"null"), "cannot be loaded"),
    "config an empty object": (lambda path: put(path, config=b"{}"), "cannot be loaded"),
    "config too deep": (lambda path: put(path, config=b"[" * 100_000), "RecursionError"),
    "config claims 4 GB": (
        lambda path: claim(path, CONFIG, size=0xF0000000),
        "unpacks to more than is sane",
    ),
    "config bomb": (
        lambda path: pack(
            path, members(path) | {CONFIG: bytes(65 << 20)}, compression=zipfile.ZIP_DEFLATED
        ),
        "config.json in 'bad.keras' unpacks to more than is sane",
    ),
    "weights claim 4 GB": (
        lambda path: claim(path, WEIGHTS, size=0xF0000000),
        "unpacks to more than is sane",
    ),
    "archive claims 10 GB": (_large_directory, "unpacks to more than is sane"),
    "encrypted": (lambda path: claim(path, WEIGHTS, flag=1), "encrypted"),
    "compressed in an unknown way": (lambda path: claim(path, WEIGHTS, method=99), "cannot be"),
    "config of another checksum": (
        lambda path: path.write_bytes(path.read_bytes().replace(b'"Dense"', b'"Bense"')) and None,
        "Bad CRC-32 for file 'config.json'",
    ),
    "unknown class": (class_name("Dense9"), "Dense9', which Keras does not know"),
    "unknown class of its own": (
        class_name("Mine", module="my_layers", registered_name="my>Mine"),
        "--import MODULE",
    ),
    "hostile class": (class_name("\x1b[31mred\n"), "which Keras does not know"),
    "class of another module": (
        class_name("system", module="os", registered_name=None),
        "uses 'system', which Keras does not know",
    ),
    "no model at all": (_as_layer, "do not fit 'hidden'"),
    "no layers": (
        lambda path: reconfigure(path, lambda c: c["config"].update(layers=[])),
        "cannot be loaded",
    ),
    "a layer twice": (_twice, "cannot be loaded"),
    "unknown setting": (set_in("Dense", colour="red"), "cannot be loaded"),
    "units of text": (set_in("Dense", units="many"), "cannot be loaded"),
    "units negative": (set_in("Dense", units=-3), "cannot be loaded"),
    "units a fraction": (set_in("Dense", units=2.5), "cannot be loaded"),
    "units infinite": (set_in("Dense", units=float("inf")), "cannot be loaded"),
    "units of 10**9": (set_in("Dense", units=10**9), "larger than its weights"),
    "units of 10**30": (set_in("Dense", units=10**30), "larger than its weights"),
    "activation unknown": (set_in("Dense", activation="reluu"), "does not know"),
    "nonsense in numbers": (lambda path: reconfigure(path, _all_nan), "cannot be loaded"),
    "input of 10**12": (
        lambda path: reconfigure(
            path,
            lambda c: layer(c, "InputLayer")["config"].update(batch_shape=[None, 10**12]),
        ),
        "cannot be loaded",
    ),
    "weights not HDF5": (lambda path: put(path, weights=b"no weights"), "weights in"),
    "weights empty": (lambda path: put(path, weights=b""), "weights in"),
    "weights cut short": (
        lambda path: put(path, weights=members(path)[WEIGHTS][:3000]),
        "weights in",
    ),
    "weights without arrays": (
        lambda path: reweigh(path, lambda file: file.clear()),
        "do not fit 'hidden'",
    ),
    "weights of another shape": (array(data=np.zeros((3, 3))), "do not fit 'hidden'"),
    "weights of text": (array(data=np.array([b"a", b"b"])), "do not fit 'hidden'"),
    "weights of objects": (
        array(shape=(4, 8), dtype=h5py.string_dtype()),
        "do not fit 'hidden'",
    ),
    "weights of 1 TB in a few bytes": (
        array(shape=(1 << 20, 1 << 18), dtype="f4", chunks=(64, 64), compression="gzip"),
        "claim to be larger than the file that they are in",
    ),
}


def _table(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


X, Y = np.zeros((40, 4), "float32"), np.arange(40) % 3


def _lying(path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 4), }"
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(640)
    pack(path, members(path) | {"x_train.npy": data})


def _pickled(path: Path) -> None:
    np.savez(path, x_train=np.array([{}] * 40, object), y_train=Y, allow_pickle=True)


DATA: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (missing, "no such data file"),
    "folder": (folder, ""),
    "dangling link": (dangling, "neither a file nor a folder"),
    "empty": (write(b""), "cannot be read"),
    "cut short": (cut(0.5), "cannot be read"),
    "text": (write("1,2,3\n"), "cannot be read"),
    "picture": (write(PNG), "cannot be read"),
    "no arrays": (lambda path: pack(path, {"notes.txt": b""}), "arrays are missing"),
    "no labels": (_table(x_train=X), "arrays are missing"),
    "half a test set": (_table(x_train=X, y_train=Y, x_test=X), "arrays are missing"),
    "no samples": (_table(x_train=X[:0], y_train=Y[:0]), "empty"),
    "a number": (_table(x_train=1.0, y_train=Y), "single number"),
    "NaN": (_table(x_train=X + np.nan, y_train=Y), "NaN or infinity"),
    "infinity": (_table(x_train=X + np.inf, y_train=Y), "NaN or infinity"),
    "complex": (_table(x_train=X + 1j, y_train=Y), "real numbers"),
    "dates": (_table(x_train=X.astype("M8[s]"), y_train=Y), "real numbers"),
    "records": (_table(x_train=np.zeros(40, [("a", "f4")]), y_train=Y), "real numbers"),
    "other lengths": (_table(x_train=X, y_train=Y[:9]), "differ in length"),
    "another width": (_table(x_train=X[:, :3], y_train=Y), "(4,)"),
    "text labels": (_table(x_train=X, y_train=np.array(["cat"] * len(Y))), "'cat' = 0"),
    "pickled": (_pickled, "never loaded"),
    "a header that claims 64 GB": (_lying, "as its header claims"),
    "an archive that claims 4 GB": (
        lambda path: claim(path, "x_train.npy", size=0xF0000000),
        "",
    ),
    "encrypted": (lambda path: claim(path, "x_train.npy", flag=1), "encrypted"),
}


def _sql(*commands: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        connection = sqlite3.connect(path)
        with connection:
            for command in commands:
                connection.execute(command)
        connection.close()

    return run


def _other_database(path: Path) -> None:
    path.unlink()
    _sql("CREATE TABLE shop (name TEXT)")(path)


STORES: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (folder, ""),
    "text": (write("dear store, " * 500), "cannot be used"),
    "picture": (write(PNG * 20), "cannot be used"),
    "another database": (
        _other_database,
        "not a store",
    ),
    "from the future": (_sql("PRAGMA user_version = 99"), "newer normcraft"),
    "cut short": (cut(0.5), "cannot be used"),
}
