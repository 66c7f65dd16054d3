import io
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import map_coordinates
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skinr import ImageCoordinateTransformer, SirenRegressor
from skinr.image import PIL_MODES, VALUE_DTYPES


@parametrize_with_checks([ImageCoordinateTransformer()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def round_trip(image, **options):
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(image, **options)
    return pixels.arrays_to_image(y)


shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@st.composite
def pixel_arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(list(VALUE_DTYPES))))
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    return draw(arrays(dtype, draw(shapes), elements=finite))


@given(pixel_arrays(), st.data())
def test_arrays_come_back_to_the_bit(image, data):
    axes = ["auto", None, *range(-image.ndim, image.ndim)] if image.ndim > 1 else ["auto", None]
    channel_axis = data.draw(st.sampled_from(axes))
    again = round_trip(image, channel_axis=channel_axis)
    assert again.dtype == image.dtype
    np.testing.assert_array_equal(again, image)


def make_picture(mode, height, width, seed=0):
    size = Image.new(mode, (width, height))
    n_bytes = len(size.tobytes())
    values = np.random.default_rng(seed).integers(0, 256, n_bytes, np.uint8)
    if mode == "F":
        values = np.random.default_rng(seed).random(n_bytes // 4, np.float32)
    return Image.frombytes(mode, (width, height), values.tobytes())


@pytest.mark.parametrize("mode", PIL_MODES)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 9))
def test_pictures_come_back_to_the_bit(mode, height, width, seed):
    picture = make_picture(mode, height, width, seed)
    again = round_trip(picture)
    assert (again.mode, again.size) == (picture.mode, picture.size)
    np.testing.assert_array_equal(np.asarray(again), np.asarray(picture))


@pytest.mark.parametrize("as_path", [str, lambda path: path, lambda path: path.open("rb")])
def test_files_come_back_as_pictures(tmp_path, as_path):
    picture = make_picture("RGB", 4, 7)
    picture.save(tmp_path / "picture.png")
    again = round_trip(as_path(tmp_path / "picture.png"))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(picture))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "uint32"])
def test_integer_values_lie_between_0_and_1(dtype):
    extremes = np.array([[0, 1], [1, 0]], bool)
    if dtype != "bool":
        extremes = extremes.astype(dtype) * np.iinfo(dtype).max
    _, y = ImageCoordinateTransformer().image_to_arrays(extremes)
    assert y.tolist() == [0, 1, 1, 0]


def test_values_are_clipped_and_rounded():
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(np.zeros((1, 4), np.uint8))
    image = pixels.arrays_to_image([-0.5, 1.7, 100.4 / 255, 100.6 / 255])
    assert image.tolist() == [[0, 255, 100, 101]]


def test_rows_are_rows():
    image = np.arange(6, dtype=np.float32).reshape(2, 3)
    X, y = ImageCoordinateTransformer().image_to_arrays(image)
    assert X.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert y.tolist() == [0, 1, 2, 3, 4, 5]


@given(shapes)
def test_the_span_maps_to_minus_one_and_one(shape):
    pixels = ImageCoordinateTransformer(shape=shape).fit(np.zeros((1, len(shape))))
    corners = np.stack([np.full(len(shape), -0.5), np.array(shape) - 0.5])
    np.testing.assert_allclose(pixels.transform(corners), [[-1] * len(shape), [1] * len(shape)])


@given(shapes, st.data())
def test_inverse_transform_undoes_transform(shape, data):
    positions = data.draw(arrays(np.float64, (5, len(shape)), elements=st.floats(-100, 100)))
    pixels = ImageCoordinateTransformer(shape=shape).fit(positions)
    again = pixels.inverse_transform(pixels.transform(positions))
    np.testing.assert_allclose(again, positions, atol=1e-10)


@given(shapes)
def test_fit_learns_the_shape_from_the_positions(shape):
    pixels = ImageCoordinateTransformer()
    X, _ = pixels.image_to_arrays(np.zeros(shape, np.float32), channel_axis=None)
    assert ImageCoordinateTransformer().fit(X).shape_ == shape == pixels.shape_
    np.testing.assert_array_equal(pixels.grid(), X)


@pytest.mark.parametrize("new", [(40, 21), (5, 7), (10, 14), (33, 3)])
def test_a_grid_of_another_size_covers_the_same_span(new):
    """An affine image resized by Pillow, whose geometry is that of pixel areas."""
    rows, columns = np.mgrid[:10, :14].astype(np.float32)
    image = 3 * rows - 2 * columns
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(image)
    sampled = map_coordinates(
        np.pad(image, 20, mode="reflect", reflect_type="odd"), pixels.grid(new).T + 20, order=1
    ).reshape(new)
    resized = np.asarray(
        Image.fromarray(image).resize(new[::-1], Image.Resampling.BOX)
        if new in {(5, 7), (10, 14)}
        else Image.fromarray(image).resize(new[::-1], Image.Resampling.BILINEAR)
    )
    inner = (slice(new[0] // 5, -(new[0] // 5) or None), slice(new[1] // 3, -(new[1] // 3)))
    np.testing.assert_allclose(sampled[inner], resized[inner], atol=1e-3)


def test_grid_before_an_image_takes_the_shape_of_fit():
    pixels = ImageCoordinateTransformer().fit([[4, 2], [0, 0]])
    assert pixels.grid().shape == (15, 2)
    with pytest.raises(NotFittedError):
        ImageCoordinateTransformer().grid()


@pytest.mark.parametrize(
    ("shape", "options", "n_axes", "n_channels"),
    [
        ((50,), {}, 1, None),
        ((5, 6), {}, 2, None),
        ((5, 6, 3), {}, 2, 3),
        ((5, 6, 7), {}, 3, None),
        ((5, 6, 7, 2), {}, 3, 2),
        ((5, 6, 3), {"channel_axis": None}, 3, None),
        ((7, 5, 6), {"channel_axis": 0}, 2, 7),
        ((50, 2), {"channel_axis": 1}, 1, 2),
    ],
    ids=str,
)
def test_grids_of_any_dimension(shape, options, n_axes, n_channels):
    image = np.random.default_rng(0).random(shape, np.float32)
    X, y = ImageCoordinateTransformer().image_to_arrays(image, **options)
    assert X.shape[1] == n_axes
    assert y.shape == ((len(X),) if n_channels is None else (len(X), n_channels))
    np.testing.assert_array_equal(round_trip(image, **options), image)


def test_pandas_output_and_feature_names():
    positions = pd.DataFrame({"row": [0.0, 3.0], "column": [0.0, 1.0]})
    pixels = ImageCoordinateTransformer().set_output(transform="pandas")
    coordinates = pixels.fit_transform(positions)
    assert coordinates.columns.tolist() == ["row", "column"]
    assert pixels.get_feature_names_out().tolist() == ["row", "column"]


def test_a_pipeline_fitted_on_some_pixels_restores_the_whole():
    image = np.add.outer(np.arange(8), np.arange(5)).astype(np.uint8)
    pixels = ImageCoordinateTransformer()
    X, y = pixels.image_to_arrays(image)
    pipeline = make_pipeline(pixels, LinearRegression()).fit(X[:20], y[:20])
    np.testing.assert_array_equal(pixels.arrays_to_image(pipeline.predict(X)), image)


def test_the_readmes_search_over_omega():
    rows, columns = np.mgrid[:24, :16]
    image = Image.fromarray((127 + 100 * np.sin(rows / 3) * np.cos(columns / 4)).astype(np.uint8))
    pixels = ImageCoordinateTransformer()
    X, y = pixels.image_to_arrays(image)
    regressor = SirenRegressor((32, 32), solver="adam", max_iter=300, random_state=0)
    search = GridSearchCV(
        make_pipeline(pixels, regressor),
        {"sirenregressor__omega_0": [0.3, 10, 300]},
        cv=KFold(3, shuffle=True, random_state=0),
    ).fit(X, y)
    assert search.best_params_ == {"sirenregressor__omega_0": 10}
    restored = pixels.arrays_to_image(search.predict(X))
    assert np.abs(np.asarray(restored).astype(int) - np.asarray(image)).max() < 10
    larger = pixels.arrays_to_image(search.predict(pixels.grid((48, 40))), shape=(48, 40))
    assert (larger.mode, larger.size) == ("L", (40, 48))


def test_pickle_keeps_the_format_and_clone_does_not():
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(np.eye(3, dtype=np.uint8))
    again = pickle.loads(pickle.dumps(pixels))
    np.testing.assert_array_equal(again.arrays_to_image(y), pixels.arrays_to_image(y))
    with pytest.raises(NotFittedError, match="image_to_arrays"):
        clone(pixels).arrays_to_image(y)


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
        ImageCoordinateTransformer().image_to_arrays(path)
    with pytest.raises(ValueError, match="Pillow can read"):
        ImageCoordinateTransformer().image_to_arrays(io.BytesIO(content))


def test_a_truncated_picture_that_pillow_has_opened():
    with pytest.raises(ValueError, match="Pillow can read"):
        ImageCoordinateTransformer().image_to_arrays(
            Image.open(io.BytesIO(broken_files()["truncated"]))
        )


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        ImageCoordinateTransformer().image_to_arrays(tmp_path / "none.png")


def test_a_decompression_bomb(tmp_path, monkeypatch):
    make_picture("L", 30, 30).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match="MAX_IMAGE_PIXELS"):
        ImageCoordinateTransformer().image_to_arrays(tmp_path / "bomb.png")


BAD_IMAGES = {
    "mode": (Image.new("P", (2, 2)), ValueError, "'P'.*RGB"),
    "dtype": (np.zeros((2, 2), np.int64), ValueError, "int64.*uint8"),
    "complex": (np.zeros((2, 2), complex), ValueError, "complex"),
    "text": (np.array([["a"]]), ValueError, "uint8"),
    "empty": (np.zeros((0, 2), np.uint8), ValueError, "empty"),
    "a number": (np.float32(3.0), TypeError, "float32"),
    "no axis": (np.array(3.0), ValueError, "empty"),
    "NaN": (np.array([[np.nan]]), ValueError, "NaN"),
    "infinity": (np.array([[np.inf]]), ValueError, "infinite"),
    "a list": ([[1, 2]], TypeError, "list"),
    "nothing": (None, TypeError, "NoneType"),
}


@pytest.mark.parametrize(("image", "error", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(image, error, message):
    with pytest.raises(error, match=message):
        ImageCoordinateTransformer().image_to_arrays(image)


@pytest.mark.parametrize("channel_axis", [2, -3, "last", 0.5], ids=str)
def test_bad_channel_axis(channel_axis):
    with pytest.raises(ValueError, match="channel_axis"):
        ImageCoordinateTransformer().image_to_arrays(np.zeros((2, 2)), channel_axis=channel_axis)


def test_an_image_handed_to_transform_or_fit():
    picture = make_picture("RGB", 4, 5)
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(picture)
    for call in (pixels.transform, pixels.fit, pixels.inverse_transform):
        for image in (picture, "picture.png"):
            with pytest.raises(TypeError, match="image_to_arrays"):
                call(image)
        with pytest.raises(ValueError, match="image_to_arrays"):
            call(np.asarray(picture))
    with pytest.raises(ValueError, match="image_to_arrays"):
        pixels.transform(np.zeros((4, 5)))


@pytest.mark.parametrize("shape", [(4,), (4, 5, 6), (0, 4), (2.5, 4), "ab", (-1, 3)], ids=str)
def test_bad_shapes(shape):
    with pytest.raises((ValueError, TypeError), match="shape"):
        ImageCoordinateTransformer(shape=shape).fit([[0, 0]])
    pixels = ImageCoordinateTransformer().fit([[3, 4]])
    with pytest.raises(ValueError, match="shape"):
        pixels.grid(shape)


def test_a_shape_that_is_not_the_images():
    with pytest.raises(ValueError, match="shape=\\(5, 5\\)"):
        ImageCoordinateTransformer(shape=(5, 5)).image_to_arrays(np.zeros((4, 5)))


@pytest.mark.parametrize(
    ("y", "shape"),
    [
        (np.zeros(5), None),
        (np.zeros((4, 2)), None),
        (np.zeros((2, 2, 1)), None),
        (np.zeros(4), (3, 3)),
        (np.array([0, 0, 0, np.nan]), None),
        (np.array([0, 0, 0, np.inf]), None),
        (np.array(["a"] * 4), None),
    ],
)
def test_values_that_do_not_fit(y, shape):
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="y "):
        pixels.arrays_to_image(y, shape=shape)
