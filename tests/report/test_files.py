import stat

import pytest

from normcraft._core.errors import MissingFileError, OverwriteError
from normcraft._core.files import check_writable, write_atomically


@pytest.mark.parametrize("content", ["naïve\n", b"\x00\xff"])
def test_the_whole_content_arrives_and_nothing_else_is_left(tmp_path, content):
    target = write_atomically(tmp_path / "report.html", content)
    assert target.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_only_replaced_by_force(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(OverwriteError, match=r"report\.html' exists already.*--force"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert write_atomically(target, "new", force=True).read_text() == "new"


def test_a_missing_folder_is_named_before_the_work_starts(tmp_path):
    with pytest.raises(MissingFileError, match=r"no folder '.*nowhere'"):
        check_writable(tmp_path / "nowhere" / "report.html")


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_never_replaced(tmp_path, force):
    with pytest.raises(OverwriteError, match="is a folder"):
        check_writable(tmp_path, force=force)


def test_checking_writes_nothing(tmp_path):
    assert check_writable(tmp_path / "report.html") == tmp_path / "report.html"
    assert not list(tmp_path.iterdir())


def test_content_that_cannot_be_written_leaves_the_old_file(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(target, "\ud800", force=True)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_gets_the_rights_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    written = write_atomically(tmp_path / "report.html", "x")
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
