"""The README and the documentation do what they say: their Python runs, their commands parse."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for lang, body in FENCE.findall(page.read_text("utf-8")) if lang == language]


@pytest.mark.any_backend
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_examples_run_as_written(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), scope)


def commands() -> list[str]:
    lines = [
        line for page in PAGES for block in blocks(page, "bash") for line in block.splitlines()
    ]
    parts = [part.strip() for line in lines for part in line.split("#")[0].split("&&")]
    return list(dict.fromkeys(part for part in parts if part.startswith("normcraft")))


@pytest.mark.any_backend
@pytest.mark.parametrize("command", commands())
def test_commands_name_options_that_exist(command):
    words = shlex.split(command)[1:]
    name = next((word for word in words if not word.startswith("-")), None)
    call = [sys.executable, "-m", "normcraft.cli.main", *([name] if name else []), "--help"]
    text = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    for word in words:
        if word.startswith("-"):
            assert re.search(rf"(^|[\s,]){re.escape(word)}\b", text), (
                f"{word} is no option of {name}"
            )


@pytest.mark.any_backend
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.any_backend
def test_every_placement_and_kind_is_documented():
    from normcraft.kinds import kind_names
    from normcraft.placements import placement_names

    text = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
    missing = [name for name in (*placement_names(), *kind_names()) if f"`{name}`" not in text]
    assert not missing


@pytest.mark.any_backend
def test_the_page_of_recipes_gives_their_true_sizes():
    from normcraft.recipes import load_recipe, recipe_names

    text = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    for name in recipe_names():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert row.split("|")[-2].strip() == f"{load_recipe(name)().count_params():,}"
