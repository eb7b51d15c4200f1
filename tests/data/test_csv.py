import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcraft._core import memory
from normcraft._core.errors import InputError
from normcraft.data import _csv_lines, load_dataset

GOOD = "height,width,kind\n1,2,0\n3,4.5,1\n-5e-1,+6,0\n"


@pytest.fixture
def write(tmp_path):
    def writing(content, name="some table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writing


@pytest.fixture
def read(write):
    return lambda content, target="kind", **keywords: load_dataset(
        write(content), target=target, **keywords
    )


@pytest.fixture
def refusal(write):
    def refusing(content, target="kind", **keywords):
        path = write(content)
        with pytest.raises(InputError) as caught:
            load_dataset(path, target=target, **keywords)
        text = str(caught.value)
        assert text.startswith(repr(str(path)))
        assert text.isprintable()
        return text.removeprefix(repr(str(path)) + ": ")

    return refusing


def test_every_column_but_the_target_is_an_input_in_the_order_of_the_file(read):
    data = read(GOOD)
    assert data.name == "some table"
    assert data.x_train.dtype == np.float32
    assert data.x_train.tolist() == [[1, 2], [3, 4.5], [-0.5, 6]]
    assert data.y_train.tolist() == [0, 1, 0]
    assert data.y_train.dtype == np.int64
    assert (data.x_test, data.class_names, data.num_classes) == (None, None, 2)
    assert data.notes == ("2 columns are inputs, the target is 'kind'",)
    assert read(GOOD, "width").x_train.tolist() == [[1, 0], [3, 1], [-0.5, 0]]
    assert read(GOOD, "height").x_train.tolist() == [[2, 0], [4.5, 1], [6, 0]]


def test_a_table_of_scikit_learn_comes_back_as_it_is(read):
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*bunch.feature_names, "diagnosis"])
    names = bunch.target_names[bunch.target]
    writer.writerows([*x, y] for x, y in zip(bunch.data.tolist(), names, strict=True))
    data = read(file.getvalue(), "diagnosis")
    np.testing.assert_array_equal(data.x_train, bunch.data.astype("float32"))
    # scikit-learn has malignant as 0, sorted names have it as 1.
    np.testing.assert_array_equal(data.y_train, 1 - bunch.target)
    assert data.class_names == ("benign", "malignant")
    assert data.notes[-1] == "labels were mapped: 'benign' = 0, 'malignant' = 1"


@given(
    st.lists(
        st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-9, 9)),
        min_size=1,
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_whatever_writes_a_table_it_is_read_back(tmp_path_factory, rows, delimiter, end, quoting):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerow(["a, b", "c"])
        writer.writerows(rows)
    data = load_dataset(path, target="c")
    assert data.x_train[:, 0].tolist() == [x for x, _ in rows]
    assert data.y_train.tolist() == [y for _, y in rows]


@pytest.mark.parametrize(
    ("delimiter", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_other_delimiters_are_read_with_a_note(read, delimiter, word):
    data = read(GOOD.replace(",", delimiter))
    assert data.x_train.tolist() == [[1, 2], [3, 4.5], [-0.5, 6]]
    assert data.notes[1] == f"the columns of the table are parted by {word}"


def test_a_file_of_tabs_may_be_named_so(write):
    path = write(GOOD.replace(",", "\t"), "t.TSV")
    assert load_dataset(path, target="kind").num_samples == 3


def test_what_writers_add_does_no_harm(read):
    assert read(b"\xef\xbb\xbf" + GOOD.encode()).x_train[0].tolist() == [1, 2]
    spaced = read('"height", "width",kind \n\n 1, 2 ,0\n 3,"4.5", 1\n\n')
    assert spaced.x_train.tolist() == [[1, 2], [3, 4.5]]
    assert spaced.y_train.tolist() == [0, 1]
    assert read("flag,kind\nTrue,0\nFALSE,1\n").x_train.tolist() == [[1], [0]]
    assert read('"a\nb",kind\n1,0\n2,1\n').notes[0].startswith("1 column is the input, the target")


def test_numbers_in_the_target_are_labels_or_numbers_as_they_are_written(read):
    assert read("a,kind\n1,3\n2,7\n").y_train.tolist() == [3, 7]
    price = read("a,kind\n1,3.5\n2,7\n")
    assert price.y_train.dtype == np.float32
    assert (price.y_train.tolist(), price.num_classes) == ([3.5, 7], None)
    huge = read(f"a,kind\n1,{10**30}\n2,1\n")
    assert huge.y_train.dtype == np.float32


def test_text_in_the_target_becomes_classes_in_sorted_order(read):
    data = read("kind,a\n dog,1\ncat ,2\n'x\\x1b',3\ndog,4\n")
    assert data.y_train.tolist() == [2, 1, 0, 2]
    assert data.class_names == ("'x\\x1b'", "cat", "dog")
    truth = read("a,kind\n1,True\n2,False\n")
    assert (truth.y_train.tolist(), truth.class_names) == ([1, 0], ("False", "True"))
    severity = read("a,kind\n1,None\n2,mild\n")
    assert severity.class_names == ("None", "mild")


def test_labels_say_how_the_target_is_taken(read, refusal):
    mapped = read("a,kind\n1,0\n2,5\n3,1\n", labels="map")
    assert (mapped.y_train.tolist(), mapped.class_names) == ([0, 2, 1], ("0", "1", "5"))
    assert mapped.notes[-1] == "labels were mapped: 0 = 0, 1 = 1, 5 = 2"
    assert read("a,kind\n1,0.1\n2,10\n3,9\n", labels="map").class_names == ("0.1", "9.0", "10.0")
    mixed = read("a,kind\n1,2\n2,2a\n3,10\n", labels="map")
    assert (mixed.y_train.tolist(), mixed.class_names) == ([1, 2, 0], ("10", "2", "2a"))
    numbers = read("a,kind\n1,0\n2,5\n", labels="numbers")
    assert numbers.y_train.dtype == np.float32
    assert "a cell is no number: received 'cat' in line 2, column 'kind'" in refusal(
        "a,kind\n1,cat\n", labels="numbers"
    )


def test_several_targets_are_numbers(read, refusal):
    data = read(GOOD, "kind, height")
    assert data.x_train.tolist() == [[2], [4.5], [6]]
    assert data.y_train.tolist() == [[0, 1], [1, 3], [0, -0.5]]
    assert data.y_train.dtype == np.float32
    assert "'cat' in line 2, column 'b'" in refusal("a,b,kind\n1,cat,2\n", "b,kind")
    assert "y is no column of labels" in refusal(GOOD, "kind,height", labels="map")
    assert refusal(GOOD, "height,width,kind").startswith("no column is left as input")
    assert read('"a,b",c\n1,2\n', "a,b").y_train.tolist() == [1]


def test_a_target_has_to_be_named(refusal):
    assert refusal(GOOD, None) == (
        "a table needs a target column: received the columns 'height', 'width', 'kind', "
        "expected the name of one; for example --target 'kind' (target='kind')"
    )
    assert refusal(GOOD, "Kind") == (
        "unknown target column: received 'Kind', expected one of 'height', 'width', 'kind'; "
        "did you mean 'kind'?"
    )
    assert "unknown target column: received 'zzz'" in refusal(GOOD, "kind,zzz")
    wide = ",".join(f"c{n}" for n in range(5000)) + "\n"
    assert "'c9' and 4990 more" in refusal(wide, "zzz")


CELLS = {
    "": "a value is missing: received '' in line 3, column 'b'",
    "NA": "a value is missing: received 'NA' in line 3",
    "nan": "a value is missing: received 'nan' in line 3",
    "?": "a value is missing: received '?' in line 3",
    "inf": "a cell is not finite: received 'inf' in line 3",
    "-Infinity": "a cell is not finite: received '-Infinity' in line 3",
    "1e39": "a number is too large for float32: received 1e39 in line 3, column 'b'",
    "Paris": "a cell is no number: received 'Paris' in line 3, column 'b', expected a finite "
    "number; code the column as numbers, or take it out",
    '"1,5"': "'1,5' in line 3, column 'b', expected a finite number; numbers have a decimal point",
    '"1,000"': "numbers have a decimal point and nothing between thousands",
    "1_000": "a cell is no number: received '1_000'",
    "\u0663": "a cell is no number: received '\u0663'",
    "0x10": "a cell is no number",
    "\x1b[31m": "received '\\x1b[31m'",
    "x" * 5000: "a cell is no number: received 'xxxxx",
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_that_is_no_number_is_named_with_its_place(refusal, cell):
    text = refusal(f"a,b,kind\n1,2,0\n1,{cell},1\n")
    assert CELLS[cell] in text
    assert len(text) < 400


def test_the_line_is_that_of_the_file(refusal):
    assert "in line 6, column 'b'" in refusal('a,b,kind\n\n"1","2",0\n\n\n1,x,1\n')
    assert "received 'x' in line 2, column 'a' and 2 more in that line" in refusal(
        "a,b,c,kind\nx,y,z,1\n"
    )


TARGETS = {
    "1\n\n": None,
    "1\n2\n": None,
    "1\n ": "a value is missing: received '' in line 3, column 'kind'",
    "1\nNA": "a value is missing: received 'NA' in line 3, column 'kind'",
    "1.5\nnan": "a value is missing: received 'nan' in line 3, column 'kind'",
    "1\ninf": "a cell is not finite: received 'inf' in line 3, column 'kind'",
    "1\ncat\n2\ndog": "the target column 'kind' holds numbers and text: received 'cat', 'dog', "
    "first in line 3, expected numbers, or the names of classes; --labels map",
    "\n".join(f"name {n}" for n in range(50)): "the target column 'kind' does not look like "
    "classes: received 50 different texts in 50 rows",
}


@pytest.mark.parametrize("column", TARGETS)
def test_a_target_that_cannot_be_learned_is_refused(read, refusal, column):
    table = "a,kind\n" + "".join(f"1,{cell}\n" for cell in column.rstrip("\n").split("\n"))
    if TARGETS[column] is None:
        read(table)
    else:
        assert TARGETS[column] in refusal(table)


TABLES = {
    "empty": ("", "the table is empty: expected a header row and rows of numbers"),
    "blank": ("\n \n", "the table is empty"),
    "a header alone": ("a,kind\n\n", "the table has no rows: received a header alone"),
    "no header": (
        "1,2\n3,4\n",
        "the header row is missing: received numbers in the first row: '1",
    ),
    "one column": ("kind\n1\n", "the table has one column: received 'kind'"),
    "an index": (",a,kind\n0,1,2\n", "column 1 has no name: received the header '', 'a', 'kind'"),
    "a name twice": ("a,a,kind\n1,2,3\n", "a name stands above two columns: received 'a'"),
    "too few cells": (
        "a,kind\n1,2\n1\n",
        "line 3 does not have as many cells as the header: received 1 cells, expected 2",
    ),
    "too many cells": ("a,kind\n1,2\n1,2,3\n", "received 3 cells, expected 2; text with a delim"),
    "a lost quote": (
        'a,kind\n1,"2\n3,4\n',
        "no row of a table: received unexpected end of data",
    ),
    "a quote inside": ('a,kind\n1,2\n"1"x,4\n', "line 3 is no row of a table"),
    "latin 1": (
        "a,kind\n1,caf\xe9\n".encode("latin-1"),
        "line 2 is not in UTF-8: received byte 0xe9 behind '1,caf', expected a text file in UTF-8",
    ),
    "utf 16": (GOOD.encode("utf-16"), "line 1 holds a NUL byte"),
    "nul": (b"a,kind\n1,\x002\n", "line 2 holds a NUL byte"),
    "a spreadsheet": (b"PK\x03\x04\x14\x00\x06", "holds a NUL byte"),
}


@pytest.mark.parametrize("case", TABLES)
def test_what_is_no_table_is_refused(refusal, case):
    content, text = TABLES[case]
    assert text in refusal(content)


def test_the_index_of_pandas_has_a_remedy(refusal):
    assert refusal(",a,kind\n0,1,2\n").endswith("to_csv(path, index=False)")


def test_a_line_without_end_is_refused_before_it_is_held(refusal, monkeypatch):
    monkeypatch.setattr(_csv_lines, "MAX_LINE", 1000)
    assert refusal("a,kind\n" + "1," * 1000) == (
        "line 2 does not end: received 1,000 characters without a line break, "
        "expected one row a line"
    )


def test_a_quotation_that_never_ends_is_refused(refusal):
    assert "is no row of a table: received field larger than field limit" in refusal(
        'a,kind\n1,"' + "x\n" * 200_000
    )


def test_a_table_larger_than_memory_is_refused_on_the_way(write, monkeypatch):
    path = write("a,kind\n" + "1,0\n" * 1000)
    monkeypatch.setattr(memory, "MAX_BYTES", 2000)
    with pytest.raises(InputError, match=r"the table unpacks to more than is sane: .* most 2,000"):
        load_dataset(path, target="kind")


def test_an_unreadable_file_is_refused(write, monkeypatch):
    path = write(GOOD)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"cannot be read: received Permission denied"):
        load_dataset(path, target="kind")


@given(st.binary(max_size=200) | st.text('a,1"\n\r;\t.-_x\0é', max_size=60).map(str.encode))
def test_any_bytes_are_data_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(b"kind,a\n" + content)
    try:
        data = load_dataset(path, target="kind")
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert np.isfinite(data.x_train).all()
        assert data.num_samples == len(data.y_train) > 0
