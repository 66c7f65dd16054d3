import io
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skinr import ImageCoordinateTransformer, SirenRegressor


@parametrize_with_checks([ImageCoordinateTransformer()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


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


def test_grid_before_an_image_takes_the_shape_of_fit():
    pixels = ImageCoordinateTransformer().fit([[4, 2], [0, 0]])
    assert pixels.grid().shape == (15, 2)
    with pytest.raises(NotFittedError):
        ImageCoordinateTransformer().grid()


def test_a_grid_of_other_axes_replaces_the_image():
    pixels = ImageCoordinateTransformer()
    pixels.image_to_arrays(np.zeros((12, 12)))
    pixels.fit(np.arange(6.0)[:, None])
    assert pixels.grid().shape == (6, 1)
    with pytest.raises(NotFittedError, match="image_to_arrays"):
        pixels.arrays_to_image(np.zeros(144))


@pytest.mark.filterwarnings("error")
def test_an_image_has_no_feature_names():
    pixels = ImageCoordinateTransformer()
    pixels.fit(pd.DataFrame({"row": [0.0, 3.0], "column": [0.0, 1.0]}))
    X, _ = pixels.image_to_arrays(np.zeros((4, 2)))
    pixels.transform(X)
    assert not hasattr(pixels, "feature_names_in_")


@pytest.mark.parametrize("earlier", [{"row": [0.0, 3.0], "column": [0.0, 1.0]}, None])
@pytest.mark.parametrize("later", [{"a": [1.0], "b": [np.nan]}, {"a": [0.0]}])
def test_a_failed_fit_leaves_the_earlier_one(earlier, later):
    pixels = ImageCoordinateTransformer(shape=(4, 2))
    if earlier:
        pixels.fit(pd.DataFrame(earlier))
        expected = pixels.transform(pd.DataFrame(earlier))
    with pytest.raises(ValueError, match=r"NaN|shape"):
        pixels.fit(pd.DataFrame(later))
    if earlier:
        np.testing.assert_array_equal(pixels.transform(pd.DataFrame(earlier)), expected)
        assert pixels.get_feature_names_out().tolist() == ["row", "column"]
    else:
        assert vars(pixels) == {"shape": (4, 2)}


@pytest.mark.filterwarnings("error")
def test_coordinates_that_come_back_need_no_names():
    positions = pd.DataFrame(np.arange(8.0).reshape(4, 2), columns=["row", "column"])
    pixels = ImageCoordinateTransformer().fit(positions)
    back = pixels.inverse_transform(pixels.transform(positions))
    np.testing.assert_allclose(back, positions, atol=1e-12)
    with pytest.raises(ValueError, match="3 features, but"):
        pixels.inverse_transform(np.zeros((1, 3)))


def test_the_mask_of_values_is_not_ignored():
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(np.ones((2, 3)))
    with pytest.raises(TypeError, match="y is a masked array"):
        pixels.arrays_to_image(np.ma.masked_where(y > 0, y))


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


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 1)])
def test_a_regressor_of_one_output_restores_an_image_of_one_channel(shape):
    image = np.arange(40, dtype=np.uint8).reshape(shape)
    pixels = ImageCoordinateTransformer()
    X, y = pixels.image_to_arrays(image)
    values = make_pipeline(pixels, LinearRegression()).fit(X, y.ravel()).predict(X)
    assert values.shape == (40,)
    for form in (values, values[:, None]):
        np.testing.assert_array_equal(pixels.arrays_to_image(form), image)


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


@pytest.mark.parametrize("is_fitted", [True, False])
def test_an_image_handed_to_transform_or_fit(is_fitted):
    picture = Image.new("RGB", (5, 4))
    pixels = ImageCoordinateTransformer()
    if is_fitted:
        pixels.image_to_arrays(picture)
    for call in (pixels.transform, pixels.fit, pixels.inverse_transform):
        for image in (picture, "picture.png", io.BytesIO()):
            with pytest.raises(TypeError, match="image_to_arrays"):
                call(image)
        with pytest.raises(ValueError, match="image_to_arrays"):
            call(np.asarray(picture))
    if is_fitted:
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


def test_values_that_are_objects_are_said_to_be():
    pixels = ImageCoordinateTransformer()
    _, y = pixels.image_to_arrays(np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"y .* dtype object"):
        pixels.arrays_to_image(y.astype(object))
