"""Tables from `.csv` files: read row by row, every cell checked, within the limit of memory."""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn

import numpy as np

from normcraft._core.errors import InputError, NormcraftError, about
from normcraft._core.memory import check_memory
from normcraft.data._arrays import from_arrays
from normcraft.data._csv_cells import TRUTH, finite_numbers, is_missing, number, refuse_cell
from normcraft.data._csv_lines import find_delimiter, text_lines
from normcraft.data._dataset import Array, Dataset
from normcraft.data._labels import listing, mapping_text

__all__ = ["read_csv"]

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
FEW_CLASSES = 20
DELIMITER_NAMES = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass
class Column:
    """The target column while a table is read: each distinct text is held once.

    Attributes:
        name: Its name.
        cells: Text of every row.
        lines: Every distinct text, with the line where it stood first.
        size: Bytes that it takes in memory, about.
    """

    name: str
    cells: list[str] = field(default_factory=list)
    lines: dict[str, tuple[str, int]] = field(default_factory=dict)
    size: int = 0

    def append(self, cell: str, line: int) -> None:
        """Add the cell of the next row."""
        text = cell.strip()
        if not text:
            refuse_cell(cell, self.name, line)
        self.size += 8 if text in self.lines else 200 + 4 * len(text)
        self.cells.append(self.lines.setdefault(text, (text, line))[0])


def read_csv(path: Path, target: str | None, *, labels: str = "auto") -> Dataset:
    """The dataset in a table with a header row: every column but the target is an input.

    Args:
        path: Path of the file, in UTF-8; columns parted by commas, semicolons, tabs or bars.
        target: Name of the target column; several, with commas between, if they are numbers.
        labels: As in `from_arrays`; text in the target is mapped in any case.

    Returns:
        The dataset, named after the file, with inputs of float32 in the order of the file.

    Raises:
        InputError: The file is no such table, has no such column, or a cell is no number.
    """  # noqa: DOC501 - ruff does not see through about
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            return _dataset(path.stem, text_lines(file), target, labels)
    except NormcraftError as error:
        raise about(repr(str(path)), error) from error
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read", received=error.strerror) from error


def _dataset(name: str, lines: Iterator[str], target: str | None, labels: str) -> Dataset:
    start = list(islice(lines, 2))
    if not "".join(start).strip():
        raise InputError("the table is empty", expected="a header row and rows of numbers")
    delimiter = find_delimiter(start[0], "".join(start[1:]))
    rows = _rows(chain(start, lines), delimiter)
    names = [cell.strip() for cell in next(rows)[1]]
    _check_header(names)
    targets = _target_names(names, target)
    x, columns = _read(rows, names, targets)
    inputs = f"{x.shape[1]} columns are inputs" if x.shape[1] > 1 else "1 column is the input"
    notes = [f"{inputs}, the target is {listing(targets)}"]
    if delimiter in DELIMITER_NAMES:
        notes.append(f"the columns of the table are parted by {DELIMITER_NAMES[delimiter]}")
    if len(columns) == 1 and _is_text(columns[0], labels):
        data = _text_targets(name, x, columns[0])
    else:
        data = from_arrays(x, _number_targets(columns, labels), name=name, labels=labels)
    return replace(data, notes=(*notes, *data.notes))


def _rows(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # Every row that is not blank, with the number of its (last) line.
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(
            f"line {reader.line_num} is no row of a table",
            received=str(error),
            hint="a quotation mark inside a cell is written twice, in quotation marks",
        ) from error


def _check_header(names: list[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1 and name]
    if all(number(name) is not None for name in names):
        raise InputError(
            "the header row is missing",
            received=f"numbers in the first row: {listing(names)}",
            expected="the names of the columns",
        )
    if "" in names:
        raise InputError(
            f"column {names.index('') + 1} has no name",
            received=f"the header {listing(names)}",
            expected="a name for every column",
            hint="if it is the index that pandas writes: to_csv(path, index=False)",
        )
    if twice:
        raise InputError(
            "a name stands above two columns",
            received=listing(twice),
            expected="each name once",
        )
    if len(names) < 2:
        raise InputError(
            "the table has one column",
            received=listing(names),
            expected="inputs and a target, with commas, semicolons, tabs or vertical bars between",
        )


def _target_names(names: list[str], target: str | None) -> list[str]:
    if target is None:
        raise InputError(
            "a table needs a target column",
            received=f"the columns {listing(names)}",
            expected="the name of one",
            hint=f"for example --target {names[-1]!r} (target={names[-1]!r})",
        )
    wanted = [target] if target in names else [name.strip() for name in target.split(",")]
    for name in wanted:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            raise InputError(
                "unknown target column",
                received=repr(name),
                expected=f"one of {listing(names)}",
                hint=f"did you mean {near[0]!r}?" if near else None,
            )
    if len(set(wanted)) == len(names):
        raise InputError("no column is left as input", received=f"the targets {listing(wanted)}")
    return list(dict.fromkeys(wanted))


def _read(
    rows: Iterator[tuple[int, list[str]]], names: list[str], targets: list[str]
) -> tuple[Array, list[Column]]:
    inputs = [index for index, name in enumerate(names) if name not in targets]
    input_names = [names[index] for index in inputs]
    columns = {names.index(name): Column(name) for name in targets}
    values = array("f")
    for line, cells in rows:
        if len(cells) != len(names):
            _refuse_ragged(line, cells, names)
        values.extend(_floats([cells[index] for index in inputs], input_names, line))
        for index, column in columns.items():
            column.append(cells[index], line)
        used = values.itemsize * len(values) + sum(column.size for column in columns.values())
        check_memory("the table", used)
    if not values:
        raise InputError("the table has no rows", received="a header alone", expected="numbers")
    return np.frombuffer(values, np.float32).reshape(-1, len(inputs)), list(columns.values())


def _floats(cells: list[str], names: list[str], line: int) -> array[float]:
    # The cells are looked at one by one where Python's own reading fails, or takes too much for a
    # number, as it does with underscores and the digits of other scripts.
    try:
        row = array("f", map(float, cells))
    except ValueError:
        row = array("f", finite_numbers(cells, names, line))
    text = "".join(cells)
    if "_" in text or not text.isascii() or not math.isfinite(sum(row)):
        row = array("f", finite_numbers(cells, names, line))
        _check_range(row, cells, names, line)
    return row


def _check_range(row: array[float], cells: list[str], names: list[str], line: int) -> None:
    large = next((index for index, value in enumerate(row) if not math.isfinite(value)), None)
    if large is not None:
        raise InputError(
            "a number is too large for float32",
            received=f"{cells[large]} in line {line}, column {names[large]!r}",
            expected="at most 3.4e38",
        )


def _refuse_ragged(line: int, cells: list[str], names: list[str]) -> NoReturn:
    raise InputError(
        f"line {line} does not have as many cells as the header",
        received=f"{len(cells)} cells",
        expected=f"{len(names)}",
        hint="text with a delimiter inside stands in quotation marks",
    )


def _is_text(column: Column, labels: str) -> bool:
    # Whether the targets are classes by name. A few texts among numbers are an error rather than
    # classes, unless the user says so.
    texts = [cell for cell in column.lines if number(cell) is None or cell.lower() in TRUTH]
    if not texts or labels == "numbers":
        return False
    if len(texts) == len(column.lines) or labels == "map":
        return True
    first = column.lines[texts[0]][1]
    if all(map(is_missing, texts)):
        refuse_cell(texts[0], column.name, first)
    raise InputError(
        f"the target column {column.name!r} holds numbers and text",
        received=f"{listing(texts)}, first in line {first}",
        expected="numbers, or the names of classes",
        hint="--labels map (labels='map') makes a class of every value",
    )


def _text_targets(name: str, x: Array, column: Column) -> Dataset:
    classes = sorted(column.lines)
    if len(classes) > max(FEW_CLASSES, len(x) // 2):
        raise InputError(
            f"the target column {column.name!r} does not look like classes",
            received=f"{len(classes)} different texts in {len(x)} rows",
            expected="numbers, or a few names that come again and again",
        )
    numbers = {label: index for index, label in enumerate(classes)}
    y = np.fromiter((numbers[cell] for cell in column.cells), np.int64, len(x))
    note = f"labels were mapped: {mapping_text(classes)}"
    return replace(from_arrays(x, y, name=name), class_names=tuple(classes), notes=(note,))


def _number_targets(columns: list[Column], labels: str) -> Array:
    arrays = [_numbers(column) for column in columns]
    if len(arrays) > 1:
        return np.stack(arrays, axis=1).astype(np.float32)
    # Labels to be mapped keep their digits: they become names.
    is_float = arrays[0].dtype.kind == "f" and labels != "map"
    return arrays[0].astype(np.float32) if is_float else arrays[0]


def _numbers(column: Column) -> Array:
    values: dict[str, float] = {}
    for cell, (_, line) in column.lines.items():
        (values[cell],) = finite_numbers([cell], [column.name], line)
    if all(WHOLE.fullmatch(cell) for cell in values):
        values = {cell: int(cell) for cell in values}
    kind = np.int64 if isinstance(values[column.cells[0]], int) else np.float64
    return np.fromiter((values[cell] for cell in column.cells), kind, len(column.cells))
