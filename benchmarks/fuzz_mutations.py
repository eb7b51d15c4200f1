"""Mutations of valid files: of bytes, of members of an archive, of headers, of JSON and of text."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

__all__ = ["Files", "mutate"]

Files = dict[str, bytes]  # what a case consists of: one file, or those of a folder
Random = random.Random

SIZES = (0, 1, -1, 2, 7, 255, 256, 2**15, 2**31 - 1, 2**31, 2**32, 10**9, 2**63, 10**18, 10**400)
VALUES: tuple[Any, ...] = (
    *SIZES, None, True, False, 0.5, -0.0, 1e-320, float("nan"), float("inf"), "", "relu", "float16",
    "\x1b[31mred\n", "a" * 2000, "../x", [], {}, [None], [[]], [1, 2, 3], {"class_name": "Dense"},
)  # fmt: skip
CELLS = (
    "", " ", "nan", "NA", "inf", "-inf", "1e400", "1e-400", "0x10", "1,5", "1_000", "\uff11\uff12",
    "2024-01-01", "'", '"', '""', "\t", ";", "\x00", "\x1b[31m", "ü†\u202e", "9" * 400, "a" * 5000,
)  # fmt: skip
DESCRIPTIONS = (
    "'|O'", "'<f2'", "'<f8'", "'>f4'", "'<c8'", "'|S9'", "'<U4000000'", "'<M8[s]'", "'|V0'",
    "[('a', '<f4')]", "'x'", "1", "('<f4', (1000000000,))", "'<i8'", "'|u1'", "'<f16'", "'|b1'",
)  # fmt: skip


def mutate(kind: str, files: Files, others: list[Files], chance: Random) -> Files:
    """A damaged copy of valid files.

    Args:
        kind: `"npz"`, `"keras"`, `"csv"` or `"images"`.
        files: What to damage.
        others: Other valid ones, to take pieces from.
        chance: Source of randomness.

    Returns:
        Files of the same names.
    """
    name = chance.choice(sorted(files))
    other = chance.choice(others)
    donor = other[chance.choice(sorted(other))]
    content = files[name]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(CHANGES[kind])
        content = change(content, donor, chance)
    return files | {name: content}


def flip(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Flips some bits."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts a number that is at the edge of something in the place of some bytes."""
    number = chance.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40))
    piece = number.to_bytes(8, chance.choice(("little", "big")))[: chance.choice((1, 2, 4, 8))]
    start = chance.randrange(len(data) + 1)
    return data[:start] + piece + data[start + len(piece) :]


def cut(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Cuts the end or the beginning off."""
    at = chance.randrange(len(data) + 1)
    return data[:at] if chance.random() < 0.8 else data[at:]


def splice(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts a piece of another file into this one, or in the place of a part of it."""
    start, stop = sorted(chance.randrange(len(donor) + 1) for _ in range(2))
    at = chance.randrange(len(data) + 1)
    skip = (stop - start) if chance.random() < 0.5 else 0
    return data[:at] + donor[start:stop] + data[at + skip :]


def repeat(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Doubles a piece."""
    start, stop = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:stop] + data[start:]


def member(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Damages one member of an archive, whose checksums stay right."""
    content = unpacked(data)
    if not content:
        return flip(data, donor, chance)
    name = chance.choice(sorted(content))
    change = chance.choice(BYTES)
    return packed(content | {name: change(content[name], donor, chance)}, chance)


def membership(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Leaves a member out, renames it, adds one of another file or swaps two."""
    content, foreign = unpacked(data), unpacked(donor)
    if len(content) < 2:
        return cut(data, donor, chance)
    first, second = chance.sample(sorted(content), 2)
    what = chance.randrange(4)
    if what == 0:
        del content[first]
    elif what == 1:
        content[chance.choice((f"../{first}", f"{first}\n", f"/{first}", ""))] = content.pop(first)
    elif what == 2 and foreign:
        content[first] = foreign[chance.choice(sorted(foreign))]
    else:
        content[first], content[second] = content[second], content[first]
    return packed(content, chance)


def directory(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts another number into a field of an archive's directory."""
    starts = [i for i in range(len(data) - 46) if data[i : i + 4] == b"PK\x01\x02"]
    if not starts:
        return flip(data, donor, chance)
    at = chance.choice(starts) + chance.choice((4, 8, 10, 16, 20, 24, 28, 30, 42))
    number = chance.choice((0, 1, 99, 0x7FFFFFFF, 0xFFFFFFFF, chance.getrandbits(32)))
    return data[:at] + struct.pack("<I", number) + data[at + 4 :]


def array_header(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts another type, shape or order into the header of an array in an archive."""
    content = unpacked(data)
    names = [name for name, part in content.items() if part[:6] == b"\x93NUMPY"]
    if not names:
        return member(data, donor, chance)
    name = chance.choice(names)
    part = content[name]
    try:
        length = struct.unpack("<H", part[8:10])[0]
        array = np.load(io.BytesIO(part), allow_pickle=False)
    except Exception:  # damaged by an earlier mutation already
        return member(data, donor, chance)
    descr = chance.choice((repr(array.dtype.str), chance.choice(DESCRIPTIONS)))
    shape = list(array.shape)
    if chance.random() < 0.7:
        shape.insert(chance.randrange(len(shape) + 1), chance.choice(SIZES))
        del shape[chance.randrange(len(shape)) : chance.choice((None, len(shape)))]
    text = (
        f"{{'descr': {descr}, 'fortran_order': {chance.random() < 0.2}, 'shape': {tuple(shape)}}}"
    )
    header = text.encode() + b" " * (64 - (len(text) + 11) % 64) + b"\n"
    fields = part[:8] + struct.pack("<H", min(len(header), 0xFFFF)) + header
    return packed(content | {name: fields + part[10 + length :]}, chance)


def arrays(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts other values, another type or another shape into an array of an archive."""
    content = unpacked(data)
    names = sorted(name for name, part in content.items() if part[:6] == b"\x93NUMPY")
    try:
        name = chance.choice(names)
        array = np.load(io.BytesIO(content[name]), allow_pickle=False)
        with np.errstate(all="ignore"):
            stream = io.BytesIO()
            np.save(stream, _other_array(array, chance), allow_pickle=False)
    except Exception:  # what cannot be converted is damaged in another way
        return member(data, donor, chance)
    return packed(content | {name: stream.getvalue()}, chance)


def _other_array(array: np.ndarray, chance: Random) -> np.ndarray:
    what = chance.randrange(5)
    if what == 0:
        return array.astype(chance.choice(("f2", "f8", "i1", "u8", "c8", "S3", "U3", "?", "M8[s]")))
    if what == 1:
        changed = np.array(array)
        changed.flat[chance.randrange(max(1, changed.size))] = chance.choice(
            (np.nan, np.inf, -1, 2**31, 2**62, 1e38, 0)
        )
        return changed
    if what == 2:
        return array[: chance.choice((0, 1, 2, 3))]
    if what == 3:
        return array.reshape(array.shape[0], -1)
    return array[..., None] if chance.random() < 0.5 else array.astype(object).astype(str)


def configuration(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Changes `config.json` as an object: other values, keys gone, parts doubled or exchanged."""
    content = unpacked(data)
    try:
        config = json.loads(content["config.json"])
    except (KeyError, ValueError, RecursionError):
        return member(data, donor, chance)
    for _ in range(chance.choice((1, 1, 2, 5))):
        places = list(_places(config))
        if places:
            _change(*chance.choice(places), chance.choice(places), chance)
    return packed(content | {"config.json": json.dumps(config).encode()}, chance)


def _places(value: Any) -> Any:
    # Every (container, key) in a JSON document.
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(items):
        yield value, key
        if isinstance(part, dict | list):
            yield from _places(part)


def _change(container: Any, key: Any, other: tuple[Any, Any], chance: Random) -> None:
    what = chance.randrange(7)
    if what <= 1:
        container[key] = chance.choice(VALUES)
    elif what <= 2 and isinstance(container[key], int | float):
        container[key] += chance.choice((-1, 1, container[key], 0.5))
    elif what <= 3:
        del container[key]
    elif what <= 5:
        container[key] = json.loads(json.dumps(other[0][other[1]]))
    elif isinstance(container, list):
        container.insert(key, json.loads(json.dumps(container[key])))
    else:
        container[f"{key}_"] = container.pop(key)


def weights(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Changes the weights as an HDF5 file: arrays gone, of other types and shapes, or links."""
    content = unpacked(data)
    stream = io.BytesIO(content.get("model.weights.h5", b""))
    try:
        with h5py.File(stream, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            _change_array(file, chance.choice(names), chance.choice(names), chance)
    except Exception:  # damaged by an earlier mutation already
        return member(data, donor, chance)
    return packed(content | {"model.weights.h5": stream.getvalue()}, chance)


def _change_array(file: h5py.File, name: str, other: str, chance: Random) -> None:
    what = chance.randrange(6)
    del file[name]
    if what == 1:
        file[name] = h5py.SoftLink(chance.choice((f"/{other}", "/nowhere", f"/{name}")))
    elif what == 2:
        file[name] = h5py.ExternalLink("/etc/passwd", "/x")
    elif what == 3:
        shape = tuple(chance.choice((0, 1, 3, 8, 10**5)) for _ in range(chance.randrange(5)))
        file.create_dataset(name, shape, chance.choice(("f4", "f8", "i1", "c8", "S5", "u8")))
    elif what == 4:
        file.create_dataset(name, (1 << 18, 1 << 15), "f4", chunks=(64, 64), compression="gzip")
    elif what == 5 and other in file:
        file[name] = file[other]


def cell(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts something else into a cell of a table."""
    lines = data.split(b"\n")
    row = chance.randrange(len(lines))
    cells = lines[row].split(b",")
    cells[chance.randrange(len(cells))] = chance.choice(CELLS).encode("utf-8", "surrogatepass")
    lines[row] = b",".join(cells)
    return b"\n".join(lines)


def row(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Leaves a row out, doubles it, shortens it, lengthens it or exchanges it."""
    lines = data.split(b"\n")
    first, second = (chance.randrange(len(lines)) for _ in range(2))
    what = chance.randrange(5)
    if what == 0:
        del lines[first]
    elif what == 1:
        lines.insert(second, lines[first])
    elif what == 2:
        lines[first] = lines[first].rpartition(b",")[0]
    elif what == 3:
        lines[first] += b"," * chance.choice((1, 2, 1000))
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def column(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Puts the same thing into a whole column, or leaves the column out."""
    rows = [line.split(b",") for line in data.split(b"\n")]
    number = chance.randrange(max(map(len, rows)))
    value = None if chance.random() < 0.3 else chance.choice(CELLS).encode()
    for cells in rows[chance.choice((0, 1)) :]:
        if number < len(cells):
            cells[number : number + 1] = [] if value is None else [value]
    return b"\n".join(map(b",".join, rows))


def text(data: bytes, donor: bytes, chance: Random) -> bytes:
    """Changes delimiters, ends of lines, quotes or the encoding of the whole."""
    changes: list[Callable[[bytes], bytes]] = [
        lambda d: d.replace(b",", chance.choice((b";", b"\t", b"|", b" ", b",,"))),
        lambda d: d.replace(b"\n", chance.choice((b"\r\n", b"\r", b"", b"\n\n", b"\n\r"))),
        lambda d: d.replace(b",", b'","'),
        lambda d: d.decode("utf-8", "replace").encode(chance.choice(("utf-16", "utf-32", "utf-7"))),
        lambda d: b"\xef\xbb\xbf" + d,
        lambda d: d.replace(b".", b","),
        lambda d: chance.choice((b'"', b"#", b"\x00", b"\n")) + d,
    ]
    return chance.choice(changes)(data)


def unpacked(data: bytes) -> Files:
    """Members of an archive.

    Returns:
        Their content by name; nothing where it is damaged already.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if info.file_size < 1 << 24]
            return {info.filename: archive.read(info) for info in infos}
    except Exception:
        return {}


def packed(content: Files, chance: Random) -> bytes:
    """An archive of these members.

    Returns:
        Its bytes; deflated now and then.
    """
    stream = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if chance.random() < 0.2 else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, part in content.items():
            archive.writestr(name or "empty", part)
    return stream.getvalue()


Change = Callable[[bytes, bytes, Random], bytes]
BYTES: tuple[Change, ...] = (flip, overwrite, cut, splice, repeat)
CHANGES: dict[str, tuple[Change, ...]] = {
    "npz": (*BYTES, member, membership, directory, array_header, array_header, arrays, arrays),
    "keras": (*BYTES, member, membership, directory, *[configuration] * 9, *[weights] * 4),
    "csv": (flip, cut, splice, repeat, cell, cell, cell, row, row, column, text),
    "images": (*BYTES, overwrite, overwrite, flip),
}
