import gc
import io

import numpy as np
import pytest
from fuzz import IMAGE_FILES, fuzz_images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from skinr import ImageCoordinateTransformer
from skinr.pictures import PIL_MODES


def round_trip(image):
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(image)
    return pixels.arrays_to_image(y)


def make_picture(mode, height, width, seed=0):
    draw = np.random.default_rng(seed)
    n_bytes = len(Image.new(mode, (width, height)).tobytes())
    values = draw.integers(0, 256, n_bytes, np.uint8)
    if mode == "F":
        values = draw.choice([0, -1.5, 1e30, np.nan, 0.1], n_bytes // 4).astype(np.float32)
    picture = Image.frombytes(mode, (width, height), values.tobytes())
    if mode in ("P", "PA"):
        picture.putpalette(draw.integers(0, 256, 768, np.uint8).tobytes())
    return picture


def assert_same_pixels(again, picture):
    assert (again.mode, again.size) == (picture.mode, picture.size)
    if picture.mode in ("P", "PA"):
        again, picture = again.convert("RGBA"), picture.convert("RGBA")
    assert again.tobytes() == picture.tobytes()


@pytest.mark.parametrize("mode", PIL_MODES)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 9))
def test_pictures_come_back_to_the_bit(mode, height, width, seed):
    picture = make_picture(mode, height, width, seed)
    assert_same_pixels(round_trip(picture), picture)


def with_transparency(transparency):
    picture = make_picture("P", 9, 30)
    picture.info["transparency"] = transparency
    return picture


PALETTES = {
    "one transparent colour": with_transparency(7),
    "an alpha for each colour": with_transparency(bytes(range(256))),
    "few colours": Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).quantize(3),
    "of a GIF": None,
    "of greys": Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).convert("P"),
}


@pytest.mark.parametrize("name", PALETTES)
def test_palettes(name, tmp_path):
    picture = PALETTES[name]
    if picture is None:
        with_transparency(7).save(tmp_path / "picture.gif")
        picture = Image.open(tmp_path / "picture.gif")
    again = round_trip(picture)
    assert_same_pixels(again, picture)
    again.save(tmp_path / "again.png")
    assert_same_pixels(Image.open(tmp_path / "again.png"), picture)


@pytest.mark.parametrize(
    ("mode", "suffix", "transparency"),
    [
        ("P", "gif", 7),
        ("P", "png", 7),
        ("P", "png", bytes(range(256))),
        ("1", "png", 255),
        ("L", "png", 9),
        ("RGB", "png", (9, 20, 30)),
    ],
    ids=str,
)
def test_what_is_transparent_is_still_when_it_is_saved_again(tmp_path, mode, suffix, transparency):
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    picture = make_picture(mode, 9, 30)
    if mode != "P":
        picture.putpixel((2, 3), transparency)
    picture.save(first, transparency=transparency)
    round_trip(first).save(second)
    expected = np.asarray(Image.open(first).convert("RGBA"))
    assert np.ptp(expected[..., -1]) > 0
    np.testing.assert_array_equal(np.asarray(Image.open(second).convert("RGBA")), expected)


KEYS = pytest.mark.parametrize(("mode", "colour"), [("L", 9), ("RGB", (9, 20, 255))])


def alpha_of(picture):
    return np.asarray(picture.convert("RGBA"))[..., -1]


@KEYS
def test_what_is_transparent_is_still_where_values_are_not_exact(mode, colour):
    picture = make_picture(mode, 9, 30)
    picture.paste(colour, (4, 2, 11, 8))
    picture.info["transparency"] = colour
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(picture)
    assert y.shape == (270, len(mode) + 1)
    again = pixels.arrays_to_image(y + np.random.default_rng(0).uniform(-0.02, 0.02, y.shape))
    assert again.mode == mode
    np.testing.assert_array_equal(alpha_of(again), alpha_of(picture))
    assert_same_pixels(pixels.arrays_to_image(y), picture)


@KEYS
def test_what_is_not_transparent_does_not_become_so(mode, colour):
    picture = Image.new(mode, (3, 2))
    picture.info["transparency"] = colour
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(picture)
    values = np.append(colour, 255) / 255
    again = pixels.arrays_to_image(np.tile(values, (6, 1)))
    assert (alpha_of(again) == 255).all()
    np.testing.assert_allclose(
        np.asarray(again), np.broadcast_to(colour, (2, 3, len(mode))).squeeze(), atol=1
    )


@pytest.mark.parametrize("transparency", [None, "x", b"abc", -1, 300, 0.5, (1, 2), (1, 2, 300)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_that_is_none_changes_nothing(mode, transparency):
    picture = make_picture(mode, 5, 6)
    picture.info["transparency"] = transparency
    assert_same_pixels(round_trip(picture), picture)
    assert round_trip(picture).info == picture.info


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_the_colour_profile_and_the_resolution_are_kept(tmp_path, mode):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    make_picture(mode, 4, 7).save(tmp_path / "picture.png", icc_profile=profile, dpi=(300, 300))
    again = round_trip(tmp_path / "picture.png")
    assert again.info["icc_profile"] == profile
    np.testing.assert_allclose(again.info["dpi"], 300, atol=0.1)
    again.save(tmp_path / "again.png")
    assert Image.open(tmp_path / "again.png").info["icc_profile"] == profile


def test_palettes_are_read_as_colours_and_left_for_the_nearest_used_one():
    picture = Image.frombytes("P", (3, 1), bytes([200, 1, 200]))
    picture.putpalette([0, 0, 0, 0, 0, 255, *[9] * 594, 255, 0, 0])
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(picture)
    np.testing.assert_array_equal(y, [[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    between = pixels.arrays_to_image([[0.1, 0.1, 0.1], [0.6, 0, 0.5], [0.5, 0, 0.6]])
    assert between.mode == "P"
    assert list(between.tobytes()) in ([200, 200, 1], [1, 200, 1])


def test_the_neutral_point_of_lab_is_no_jump():
    greys = Image.new("LAB", (2, 1), (100, 127, 127))
    greys.putpixel((1, 0), (100, 129, 129))
    _, y = ImageCoordinateTransformer().image_to_arrays(greys)
    assert np.ptp(y, axis=0).max() < 0.01


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: np.rot90,
}
"""What the EXIF standard means by each orientation."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_orientation(tmp_path, orientation, suffix):
    picture = make_picture("RGB", 4, 7)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / f"picture.{suffix}", exif=exif, lossless=True)
    again = round_trip(tmp_path / f"picture.{suffix}")
    for band, upright in zip(picture.split(), again.split(), strict=True):
        np.testing.assert_array_equal(np.asarray(upright), UPRIGHT[orientation](np.asarray(band)))


@pytest.mark.parametrize("as_source", [str, lambda path: path, lambda path: path.open("rb")])
@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", "png"),
        ("1", "tiff"),
        ("L", "jp2"),
        ("LA", "png"),
        ("P", "gif"),
        ("P", "bmp"),
        ("RGB", "ppm"),
        ("RGBA", "webp"),
        ("CMYK", "tiff"),
        ("LAB", "tiff"),
        ("I;16", "png"),
        ("I;16", "tiff"),
        ("I", "tiff"),
        ("F", "tiff"),
    ],
)
def test_files(tmp_path, mode, suffix, as_source):
    picture = make_picture(mode, 4, 7)
    options = {"lossless": True} if suffix == "webp" else {}
    picture.save(tmp_path / f"picture.{suffix}", **options)
    expected = Image.open(tmp_path / f"picture.{suffix}")
    assert_same_pixels(round_trip(as_source(tmp_path / f"picture.{suffix}")), expected)


def test_an_unknown_mode(monkeypatch):
    monkeypatch.setattr("skinr.pictures.SINGLE", ("1", "L"))
    with pytest.raises(ValueError, match=r"'F' given; .*RGB"):
        round_trip(Image.new("F", (2, 2)))


@pytest.mark.parametrize("suffix", ["tiff", "gif"])
@pytest.mark.filterwarnings("error")
def test_of_several_frames_the_first(tmp_path, suffix):
    path = tmp_path / f"frames.{suffix}"
    frames = [Image.new("L", (2, 2), level) for level in (10, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.asarray(round_trip(path).convert("L")).max() == 10
    gc.collect()  # a file that was left open would be heard of now


def test_a_file_that_the_user_has_opened_stays_open(tmp_path):
    make_picture("RGB", 4, 7).save(tmp_path / "picture.tiff")
    with (tmp_path / "picture.tiff").open("rb") as file:
        round_trip(file)
        assert not file.closed
    with Image.open(tmp_path / "picture.tiff") as picture:
        round_trip(picture)
        picture.seek(0)


def broken_files():
    whole = io.BytesIO()
    make_picture("RGB", 30, 30).save(whole, "png")
    return {
        "empty": b"",
        "text": b"this is no picture",
        "truncated": whole.getvalue()[:500],
        "corrupt": whole.getvalue()[:60] + b"\xff" * 40 + whole.getvalue()[100:],
    }


@pytest.mark.parametrize("content", broken_files().values(), ids=broken_files())
def test_broken_files(tmp_path, content):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Pillow can read"):
        round_trip(path)
    with pytest.raises(ValueError, match="Pillow can read"):
        round_trip(io.BytesIO(content))


def test_a_truncated_picture_that_pillow_has_opened():
    with pytest.raises(ValueError, match="Pillow can read"):
        round_trip(Image.open(io.BytesIO(broken_files()["truncated"])))


def test_a_closed_picture(tmp_path):
    make_picture("RGB", 4, 7).save(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        pass
    with pytest.raises(ValueError, match=r"Pillow can read: ."):
        round_trip(picture)


def test_a_picture_that_does_not_fit_in_memory(monkeypatch):
    def run_out(picture):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", run_out)
    with pytest.raises(ValueError, match="does not fit in memory"):
        round_trip(Image.new("L", (2, 2)))


@pytest.mark.filterwarnings("error")
def test_a_program_is_not_run(tmp_path):
    make_picture("RGB", 4, 7).save(tmp_path / "picture.eps")
    with pytest.raises(ValueError, match="EPS files are programs"):
        round_trip(tmp_path / "picture.eps")
    gc.collect()  # a file that was left open would be heard of now


@pytest.mark.parametrize(
    ("name", "error"), [("none.png", FileNotFoundError), (300 * "x", OSError), ("", OSError)]
)
def test_what_cannot_be_opened(tmp_path, name, error):
    with pytest.raises(error):
        round_trip(tmp_path / name)


def test_a_decompression_bomb(tmp_path, monkeypatch):
    make_picture("L", 30, 30).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS"):
        round_trip(tmp_path / "bomb.png")


def test_damaged_files_of_every_format_are_read_or_rejected():
    outcomes = fuzz_images(100 * len(IMAGE_FILES))
    assert set(outcomes) == {"read", "rejected"}
