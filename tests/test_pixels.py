import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from skinr import ImageCoordinateTransformer
from skinr.pixels import VALUE_DTYPES

MOST_FLOAT32 = np.finfo(np.float32).max


def round_trip(image, **options):
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(image, **options)
    return pixels.arrays_to_image(y)


@st.composite
def pixel_arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(list(VALUE_DTYPES))))
    dtype = dtype.newbyteorder(draw(st.sampled_from("<>")))
    elements = {"allow_infinity": False} if dtype.kind == "f" else {}
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple))
    return draw(arrays(dtype, shape, elements=elements))


@given(pixel_arrays(), st.data())
def test_arrays_come_back_to_the_bit(image, data):
    axes = ["auto", None, *range(-image.ndim, image.ndim)] if image.ndim > 1 else ["auto", None]
    channel_axis = data.draw(st.sampled_from(axes))
    again = round_trip(image, channel_axis=channel_axis)
    assert again.dtype == image.dtype
    np.testing.assert_array_equal(again, image)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "uint32"])
def test_unsigned_values_lie_between_0_and_1(dtype):
    extremes = np.array([[0, 1], [1, 0]], bool)
    if dtype != "bool":
        extremes = extremes.astype(dtype) * np.iinfo(dtype).max
    _, y = ImageCoordinateTransformer().image_to_arrays(extremes)
    assert y.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_signed_values_lie_between_minus_1_and_1(dtype):
    limits = np.iinfo(dtype)
    _, y = ImageCoordinateTransformer().image_to_arrays(
        np.array([limits.min, 0, limits.max], dtype)
    )
    np.testing.assert_allclose(y, [-1, 0, 1], atol=0.01)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("uint8", [-0.5, 1.7, 100.4 / 255, 100.6 / 255], [0, 255, 100, 101]),
        ("int16", [-1.5, 1.7, 100.4 / 32767, 1.2e30], [-32768, 32767, 100, 32767]),
        ("bool", [-0.5, 1.7, 0.4, 0.6], [False, True, False, True]),
        ("float16", [-1e9, 1e9, 65519, 0.5], [-65504, 65504, 65504, 0.5]),
        (">f2", [-1e9, 1e9, np.nan, 0.5], [-65504, 65504, np.nan, 0.5]),
        ("float32", [-1e300, 1e300, 2, 0.5], [-MOST_FLOAT32, MOST_FLOAT32, 2, 0.5]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_values_are_clipped_and_rounded(dtype, values, expected):
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(np.zeros((1, 4), dtype))
    np.testing.assert_array_equal(pixels.arrays_to_image(values), [expected])


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


BAD_IMAGES = {
    "dtype": (np.zeros((2, 2), np.int64), ValueError, "int64.*uint8"),
    "complex": (np.zeros((2, 2), complex), ValueError, "complex"),
    "text": (np.array([["a"]]), ValueError, "uint8"),
    "empty": (np.zeros((0, 2), np.uint8), ValueError, "empty"),
    "an empty picture": (Image.new("L", (0, 3)), ValueError, "empty"),
    "no channel": (np.zeros((2, 2, 0), np.uint8), ValueError, "empty"),
    "a number": (np.float32(3.0), TypeError, "float32"),
    "no axis": (np.array(3.0), ValueError, "empty"),
    "infinity": (np.array([[np.inf]]), ValueError, "infinite"),
    "a list": ([[1, 2]], TypeError, "list"),
    "nothing": (None, TypeError, "NoneType"),
    "a masked array": (np.ma.ones((2, 2)), TypeError, r"masked.*mask=~np\.ma\.getmaskarray"),
}


@pytest.mark.parametrize(("image", "error", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(image, error, message):
    with pytest.raises(error, match=message):
        ImageCoordinateTransformer().image_to_arrays(image)


@pytest.mark.parametrize("channel_axis", [2, -3, "last", 0.5, True], ids=str)
def test_bad_channel_axis(channel_axis):
    with pytest.raises(ValueError, match="channel_axis"):
        ImageCoordinateTransformer().image_to_arrays(np.zeros((2, 2)), channel_axis=channel_axis)
