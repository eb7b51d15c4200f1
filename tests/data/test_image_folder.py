import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from normcraft._core import memory
from normcraft._core.errors import InputError
from normcraft.data import _image_folder, load_dataset

GREY = Image.fromarray(np.arange(24, dtype="uint8").reshape(4, 6))
COLOUR = Image.fromarray(np.arange(72, dtype="uint8").reshape(4, 6, 3))
DEEP = Image.fromarray(np.arange(24, dtype="uint16").reshape(4, 6) * 2500)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "pets"


@pytest.fixture
def lay(root):
    """Writes images (or bytes) at paths below the root, and gives the root."""

    def laying(files):
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                content.save(path)
        return root

    return laying


@pytest.fixture
def refusal(root):
    def refusing(**keywords):
        with pytest.raises(InputError) as caught:
            load_dataset(root, **keywords)
        text = str(caught.value)
        assert text.startswith(repr(str(root)))
        assert text.isprintable()
        return text.removeprefix(repr(str(root)) + ": ")

    return refusing


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_folders_are_classes_in_sorted_order(lay):
    brighter = Image.fromarray(np.asarray(GREY) + 100)
    data = load_dataset(lay({"dog/b.png": GREY, "cat/2.png": brighter, "cat/1.png": GREY}))
    assert data.name == "pets"
    assert data.class_names == ("cat", "dog")
    assert data.y_train.tolist() == [0, 0, 1]
    assert data.x_train.dtype == np.uint8
    assert data.x_train.shape == (3, 4, 6, 1)
    np.testing.assert_array_equal(data.x_train[1, ..., 0], np.asarray(brighter))
    assert (data.x_test, data.x_validation, data.notes) == (None, None, ())


def test_digits_come_back_from_a_folder_of_images(lay):
    digits = load_dataset("digits")
    pixels = (digits.x_train[..., 0] * 255).astype("uint8")
    folder = lay(
        {
            f"{label}/{index:04}.png": Image.fromarray(image)
            for index, (image, label) in enumerate(zip(pixels, digits.y_train, strict=True))
        }
    )
    data = load_dataset(folder)
    order = np.argsort(digits.y_train, kind="stable")
    np.testing.assert_array_equal(data.x_train[..., 0], pixels[order])
    np.testing.assert_array_equal(data.y_train, digits.y_train[order])
    assert data.class_names == digits.class_names


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "gif", "webp", "jpg", "jpeg"])
def test_every_format_is_read(lay, suffix):
    folder = lay({f"{name}/1.{suffix}": COLOUR for name in ("a", "b")})
    data = load_dataset(folder)
    assert data.x_train.shape == (2, 4, 6, 3)
    with Image.open(folder / f"a/1.{suffix}") as image:
        np.testing.assert_array_equal(data.x_train[0], np.asarray(image.convert("RGB")))


def test_parts_are_folders_of_class_folders(lay):
    files = {f"{part}/{name}/1.png": GREY for part in ("train", "val", "test") for name in "ab"}
    data = load_dataset(lay(files | {"train/a/2.png": GREY, "extra/a/1.png": GREY}))
    assert data.y_train.tolist() == [0, 0, 1]
    assert data.y_validation.tolist() == data.y_test.tolist() == [0, 1]
    assert data.x_test.shape == data.x_validation.shape == (2, 4, 6, 1)
    assert data.notes == ("left out of the folder: 'extra/'",)


def test_a_part_may_lack_a_class_but_not_have_another(lay, root, refusal):
    lay({"train/a/1.png": GREY, "train/b/1.png": GREY, "test/b/1.png": GREY})
    assert load_dataset(root).y_test.tolist() == [1]
    lay({"test/c/1.png": GREY})
    assert refusal() == ("test has classes that train lacks: received 'c', expected among 'a', 'b'")


def test_a_class_may_be_called_train(lay):
    folder = lay({"train/1.png": GREY, "plane/1.png": GREY})
    assert load_dataset(folder).class_names == ("plane", "train")


def test_validation_data_lie_in_one_folder(lay, refusal):
    lay({f"{part}/{name}/1.png": GREY for part in ("train", "val", "validation") for name in "ab"})
    assert refusal() == "two folders of validation data: received val/ and validation/"


def test_grey_images_among_coloured_ones_become_colour(lay):
    data = load_dataset(lay({"a/1.png": GREY, "b/1.png": COLOUR}))
    assert data.x_train.shape == (2, 4, 6, 3)
    assert (data.x_train[0] == np.asarray(GREY)[..., None]).all()
    assert data.notes == ("1 of 2 grey images were read as colour, like the rest",)


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (GREY.convert("1"), 1),
        (GREY.convert("LA"), 1),
        (COLOUR.convert("RGBA"), 3),
        (COLOUR.convert("P"), 3),
    ],
    ids=["black and white", "grey with alpha", "colour with alpha", "palette"],
)
def test_every_mode_is_read(lay, image, channels):
    data = load_dataset(lay({"a/1.png": image, "b/1.png": image}))
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    np.testing.assert_array_equal(data.x_train[0].squeeze(), expected)
    transparent = image.mode in {"LA", "RGBA"}
    assert len(data.notes) == transparent
    if transparent:
        assert data.notes == ("2 of 2 images are transparent in part; that was dropped",)


def test_a_palette_with_transparency_is_read_without_a_warning(lay):
    palette = COLOUR.convert("P")
    content = encoded(palette, "PNG", transparency=bytes(range(256)))
    data = load_dataset(lay({"a/1.png": content, "b/1.png": content}))
    np.testing.assert_array_equal(data.x_train[0], np.asarray(palette.convert("RGB")))
    assert "transparent" in data.notes[0]


def test_cmyk_becomes_colour(lay):
    content = encoded(COLOUR.convert("CMYK"), "JPEG")
    assert load_dataset(lay({"a/1.jpg": content, "b/1.jpg": content})).x_train.shape[-1] == 3


def test_the_first_frame_of_an_animation_is_read(lay):
    frames = [GREY, Image.fromarray(255 - np.asarray(GREY))]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    data = load_dataset(lay({"a/1.gif": content, "b/1.gif": content}))
    first = np.asarray(GREY)
    assert (data.x_train[0, ..., 0] == first).all()
    assert data.notes[-1] == "2 of 2 images are animated; the first frame was read"


def test_grey_of_16_bits_stays_so(lay, root, refusal):
    data = load_dataset(lay({"a/1.png": DEEP, "b/1.png": DEEP}))
    assert data.x_train.dtype == np.uint16
    np.testing.assert_array_equal(data.x_train[0, ..., 0], np.asarray(DEEP))
    lay({"b/2.png": GREY})
    text = refusal()
    assert text.startswith("the images differ in depth: received 'b/1.png' (grey of 16 bits) and")
    assert "'b/2.png' (grey), expected 8 bits in all, or 16 bits in all" in text


def test_images_of_several_sizes_are_named_with_a_remedy(lay, refusal):
    lay({"a/1.png": GREY, "a/2.png": GREY, "b/1.png": GREY.resize((3, 5))})
    assert refusal() == (
        "the images differ in size: received 'a/1.png' of 6 x 4 and 'b/1.png' of 3 x 5 (2 sizes "
        "in 3 images), expected one size; resize them first: "
        "PIL.Image.open(file).resize((width, height)).save(file)"
    )


def test_stray_files_are_left_out_with_a_note(lay, root):
    lay({"a/1.png": GREY, "b/1.png": GREY, "a/Thumbs.db": b"", ".DS_Store": b"", "read.me": b""})
    lay({"a/._1.png": b"", "b/nested/2.png": GREY, ".git/x.png": GREY, "__MACOSX/a/1.png": b""})
    os.mkfifo(root / "a" / "pipe.png")
    (root / "b" / "broken.png").symlink_to(root / "gone.png")
    data = load_dataset(root)
    assert data.num_samples == 2
    assert data.notes == (
        "left out of the folder: '.DS_Store', '.git', '__MACOSX', 'a/._1.png', 'a/Thumbs.db', "
        "'a/pipe.png', 'b/broken.png', 'b/nested/', 'read.me'",
    )


def test_links_that_lead_in_a_circle_end(lay, root, refusal):
    lay({"a/1.png": GREY, "b/1.png": GREY})
    (root / "a" / "circle").symlink_to(root)
    (root / "c").symlink_to(root / "b")
    assert load_dataset(root).class_names == ("a", "b", "c")
    (root / "circle").symlink_to(root)
    assert refusal().startswith("there are no images in the class folder 'circle': received 'a',")


LAYOUTS = {
    "nothing": ([], "there are no class folders in 'pets': received 0 files, 0 of them images"),
    "no classes": (
        ["1.png", "2.png", "x"],
        "received 3 files, 2 of them images, expected",
    ),
    "one class": (["a/1.png"], "there is one class alone: received 'a', expected two folders"),
    "an empty class": (
        ["a/1.png", "b/x.txt"],
        "no images in the class folder 'b': received 'x.",
    ),
    "too deep": (
        ["a/x/1.png", "b/x/1.png"],
        "no images in the class folder 'a': received 'x', expected files that end in .png, .jpg",
    ),
    "an empty part": (
        ["train/a/1.png", "train/b/1.png", "test/x.txt"],
        "there are no class folders in 'test': received 1 files, 0 of them images",
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_another_layout_is_refused(lay, root, refusal, case):
    files, text = LAYOUTS[case]
    root.mkdir()
    lay({name: encoded(GREY, "PNG") if name.endswith("png") else b"" for name in files})
    assert text in refusal()


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def bomb(width, height):
    """A PNG that claims a size in its header and has next to no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


DAMAGED = {
    "cut short": encoded(COLOUR, "PNG")[:-40],
    "cut in the header": encoded(COLOUR, "PNG")[:20],
    "no image": b"not an image \x1b[31m",
    "empty": b"",
    "a bomb": bomb(60_000, 60_000),
    "a small bomb": bomb(12_000, 12_000),
    "another format": encoded(COLOUR, "TIFF"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_image_is_named(lay, refusal, case):
    lay({"a/1.png": COLOUR, "b/1.png": DAMAGED[case]})
    assert refusal().startswith("'b/1.png' cannot be read as an image: received ")


def test_too_many_pixels_are_refused_before_any_is_decoded(lay, refusal, monkeypatch):
    lay({f"{name}/{index}.png": bomb(1000, 1000) for name in "ab" for index in range(5)})
    monkeypatch.setattr(memory, "MAX_BYTES", 9_999_999)
    monkeypatch.setattr(_image_folder, "read_pixels", lambda *_: pytest.fail("was decoded"))
    assert refusal().startswith(
        "the folder unpacks to more than is sane: received 10,000,000 bytes"
    )


def test_what_may_not_be_read_is_named(lay, refusal, monkeypatch):
    lay({"a/1.png": GREY, "b/1.png": GREY})

    def scandir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(AssertionError, match="cannot be read: received Permission denied at"):
        raise AssertionError(refusal())


def test_names_that_are_no_text_do_no_harm(lay, root):
    lay({"a/1.png": GREY})
    try:
        (root / os.fsdecode(b"b\xff")).mkdir()
    except OSError:
        pytest.skip("the file system takes text only")
    GREY.save(root / os.fsdecode(b"b\xff") / "1.png")
    assert load_dataset(root).class_names == ("a", "b\\xff")
    renamed = root.rename(root.with_name(os.fsdecode(b"pets \xff")))
    assert load_dataset(renamed).name == "pets \\xff"


def test_labels_of_folders_are_names(lay, root):
    lay({"a/1.png": GREY, "b/1.png": GREY})
    assert load_dataset(root, labels="map").class_names == ("a", "b")
    with pytest.raises(InputError, match="labels of class folders are names: received labels 'num"):
        load_dataset(root, labels="numbers")
    with pytest.raises(InputError, match="a target column belongs to a table: received target 'a'"):
        load_dataset(root, target="a")


WHOLE = [encoded(COLOUR, form) for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP")]


@settings(max_examples=60)
@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(0, 2000) | st.none(),
)
def test_flipped_and_cut_images_are_data_or_one_line(tmp_path_factory, content, flips, length):
    root = tmp_path_factory.mktemp("images")
    for name in ("a", "b"):
        (root / name).mkdir()
        COLOUR.save(root / name / "1.png")
    damaged = bytearray(content)
    for place, value in flips:
        damaged[place % len(content)] = value
    (root / "b" / "2.png").write_bytes(bytes(damaged[:length]))
    try:
        data = load_dataset(root)
    except InputError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert data.x_train.shape == (3, 4, 6, 3)
