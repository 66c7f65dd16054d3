import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from skinr.integration import implied_values


def no_values(X):
    return np.full((len(X), 1), np.nan)


def quadratic(X, seed):
    """A quadratic function, of which the trapezoidal rule integrates the gradient exactly."""
    random = np.random.default_rng(seed)
    slope, curvature = random.normal(size=X.shape[1]), random.normal(size=(X.shape[1],) * 2)
    values = X @ slope + np.einsum("ni,ij,nj->n", X, curvature, X)
    return values[:, None], (slope + X @ (curvature + curvature.T))[:, :, None]


def grid(shape, random, holes=0.0):
    """Rows at the places of an uneven grid, of which a share is missing, in any order."""
    axes = [np.cumsum(random.uniform(0.5, 2, n)) for n in shape]
    X = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(shape))
    return random.permutation(X)[: round((1 - holes) * len(X))]


@given(st.lists(st.integers(2, 7), min_size=1, max_size=3), st.integers(0, 99))
def test_gradients_on_a_grid_give_the_values_but_for_a_constant(shape, seed):
    random = np.random.default_rng(seed)
    X = grid(shape, random)
    values, gradient = quadratic(X, seed)
    implied = implied_values(X, gradient, None, no_values(X))
    scale = np.ptp(values)
    np.testing.assert_allclose(implied.mean(), 0, atol=1e-9 * scale)
    np.testing.assert_allclose(implied, values - values.mean(), atol=1e-4 * scale)


@pytest.mark.parametrize("n_features", [2, 3])
@pytest.mark.parametrize("holes", [0.1, None])
def test_gradients_at_scattered_rows_give_the_values(n_features, holes):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, n_features))
    if holes:
        X = grid([6] * n_features, random, holes)
    values, gradient = quadratic(X, 0)
    implied = implied_values(X, gradient, None, no_values(X))
    np.testing.assert_allclose(implied, values - values.mean(), atol=1e-4 * np.ptp(values))


@given(st.integers(0, 99))
def test_known_values_are_kept_and_settle_the_constant(seed):
    random = np.random.default_rng(seed)
    X = grid([5, 4], random)
    values, gradient = quadratic(X, seed)
    known = np.where(random.uniform(size=values.shape) < 0.3, values, np.nan)
    known[0] = values[0]
    implied = implied_values(X, gradient, None, known)
    np.testing.assert_array_equal(implied[~np.isnan(known)], known[~np.isnan(known)])
    np.testing.assert_allclose(implied, values, atol=1e-4 * np.ptp(values))


def test_a_laplacian_on_a_grid_gives_an_image_but_for_a_constant():
    image = np.random.default_rng(0).normal(size=(12, 9))
    X = np.argwhere(np.ones(image.shape)).astype(float)
    laplacian = ndimage.laplace(image, mode="nearest").reshape(-1, 1)
    implied = implied_values(X, None, laplacian, no_values(X))
    np.testing.assert_allclose(implied[:, 0], image.ravel() - image.mean(), atol=1e-4)


def test_a_laplacian_with_flux_through_the_edge_is_integrated_with_a_level_edge():
    X = np.argwhere(np.ones((33, 33))) / 16 - 1
    values = np.cos(np.pi / 2 * X).prod(axis=1)
    laplacian = -(np.pi**2) / 2 * values[:, None]
    implied = implied_values(X, None, laplacian, no_values(X))
    np.testing.assert_allclose(implied[:, 0], values - values.mean(), atol=2e-3)


def test_parts_that_nothing_joins_need_a_known_value_each():
    X = np.array([0.0, 1.0, 2.0, 3.0, 4.0])[:, None]
    gradient = np.array([1.0, 1.0, np.nan, np.nan, 1.0])[:, None, None]
    values = np.array([np.nan, 5.0, np.nan, np.nan, np.nan])[:, None]
    implied = implied_values(X, gradient, None, values)
    np.testing.assert_allclose(implied[:3, 0], [4, 5, 6], atol=1e-4)
    assert np.isnan(implied[3:, 0]).all()


def test_repeated_positions_have_one_value():
    X = np.array([0.0, 0.0, 1.0, 2.0])[:, None]
    implied = implied_values(X, np.ones((4, 1, 1)), None, no_values(X))
    np.testing.assert_allclose(implied[:, 0], [-0.75, -0.75, 0.25, 1.25], atol=1e-6)


def test_what_is_known_of_a_position_may_be_in_different_rows():
    X = np.arange(6.0)[:, None]
    values, gradient = 1000 + X**2, 2 * X[..., None]
    others, unknown = np.vstack([X, X]), np.full((6, 1), np.nan)
    implied = implied_values(
        others,
        np.vstack([gradient, unknown[..., None]]),
        None,
        np.vstack([unknown, np.where(X == 2, values, np.nan)]),
    )
    np.testing.assert_allclose(implied, np.vstack([values, values]), rtol=1e-6)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((1, 1)),
        np.zeros((3, 2)),
        np.random.default_rng(0).normal(size=(2, 2)),
        np.linspace(0, 1, 7)[:, None] * [1.0, 1.0],
        np.random.default_rng(0).normal(size=(30, 4)),
    ],
    ids=["one row", "one position", "two rows", "on a line", "four features"],
)
def test_where_rows_have_no_neighbours_nothing_is_implied(X):
    gradient = np.ones((*X.shape, 1))
    assert np.isnan(implied_values(X, gradient, None, no_values(X))).all()
    assert np.isnan(implied_values(X, None, gradient[:, 0], no_values(X))).all()


@pytest.mark.parametrize("shape", [[6, 5], None], ids=["grid", "scattered"])
@given(st.integers(-150, 150), st.integers(-150, 150), st.integers(-150, 150))
def test_units_do_not_matter(shape, first, second, values_exponent):
    random = np.random.default_rng(0)
    X = grid(shape, random) if shape else random.normal(size=(60, 2))
    _, gradient = quadratic(X, 0)
    expected = implied_values(X, gradient, None, no_values(X))
    units, unit = np.array([10.0**first, 10.0**second]), 10.0**values_exponent
    scaled = implied_values(X * units, gradient * unit / units[:, None], None, no_values(X))
    np.testing.assert_allclose(scaled / unit, expected, atol=1e-4 * np.ptp(expected))


def test_units_of_a_laplacian_do_not_matter():
    image = np.random.default_rng(0).normal(size=(6, 5))
    X = np.argwhere(np.ones(image.shape)).astype(float)
    laplacian = ndimage.laplace(image, mode="nearest").reshape(-1, 1)
    implied = implied_values(1e-150 * X, None, laplacian * 1e290, no_values(X))
    np.testing.assert_allclose(implied[:, 0] * 1e10, image.ravel() - image.mean(), atol=1e-4)
