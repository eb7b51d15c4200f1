"""compare in a real notebook kernel: a bar while it runs, then sentence, table and curves."""

from __future__ import annotations

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.slow

CELLS = [
    "import normcraft as nc\nr = nc.compare(seeds=2, epochs=2)",
    "r",
    "r.verdict",
    "nc.compare(seeds=2, epochs=2, verbose=False) and None",
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    where = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=where).execute()
    return notebook.cells


def test_progress_is_one_output_that_ends_with_what_was_done(cells):
    progress, result = cells[0].outputs
    assert progress.data["text/plain"] == "6 of 6 trials"
    assert "<progress" not in progress.data["text/html"]
    assert "<polyline" in result.data["text/html"]


def test_a_comparison_shows_as_sentence_table_and_curves(cells):
    (result,) = cells[1].outputs
    html = result.data["text/html"]
    assert "2 paired seeds" in html
    assert html.count("<polyline") == 3
    assert "before_activation" in result.data["text/plain"]
    assert len(html) < 40_000


def test_a_verdict_shows_as_its_sentence(cells):
    assert "2 paired seeds" in cells[2].outputs[0].data["text/plain"]


def test_verbose_false_shows_nothing(cells):
    assert cells[3].outputs == []
