import sys

import pytest

from normcraft._core import registry
from normcraft._core.errors import InputError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package of these files; its name is new in every test."""

    def make(*files):
        folder = tmp_path / "plugins_for_test"
        for file in ("__init__.py", *files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text("raise RuntimeError" if "broken" in file else "VALUE = 7\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        for name in [name for name in sys.modules if name.startswith("plugins_for_test")]:
            monkeypatch.delitem(sys.modules, name)
        return "plugins_for_test"

    return make


def test_members_are_the_public_modules_by_name(package):
    name = package("before_activation.py", "_private.py", "as_given/__init__.py", "notes.txt")
    assert registry.members(name) == ("as_given", "before_activation")


def test_listing_members_imports_none_of_them(package):
    assert registry.members(package("broken.py", "fine.py")) == ("broken", "fine")


def test_a_member_is_loaded_by_name_without_its_neighbours(package):
    assert registry.load(package("broken.py", "fine.py"), "fine", what="plug-in").VALUE == 7


def test_an_unknown_name_lists_the_members_and_the_nearest(package):
    expected = (
        "unknown placement: received 'before_activatoin', expected one of after, "
        "before_activation; did you mean 'before_activation'?"
    )
    with pytest.raises(InputError, match="unknown placement") as caught:
        registry.load(
            package("before_activation.py", "after.py"), "before_activatoin", what="placement"
        )
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", ["_private", "sub.module", "..os", "", "__init__"])
def test_only_members_can_be_loaded(package, name):
    with pytest.raises(InputError, match="unknown plug-in"):
        registry.load(
            package("_private.py", "sub/__init__.py", "sub/module.py"), name, what="plug-in"
        )


def test_a_file_and_a_folder_of_one_name_are_an_error(package):
    name = package("foo.py", "foo/__init__.py", "bar.py")
    with pytest.raises(InputError, match=r"taken twice: received .*foo'? and .*foo\.py'"):
        registry.members(name)


def test_one_name_in_two_folders_of_a_package_is_an_error(package, tmp_path):
    name = package("foo.py")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "foo.py").touch()
    registry.members(name)
    sys.modules[name].__path__.append(str(tmp_path / "more"))
    with pytest.raises(InputError, match="a name in plugins_for_test is taken twice"):
        registry.members(name)
