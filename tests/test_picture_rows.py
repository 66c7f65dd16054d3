import tracemalloc

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from skinr.picture_rows import is_on_grid, is_picture


def nodes(*shape):
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, len(shape))


def noisy(values, noise):
    draw = np.random.default_rng(0).normal(0, noise * values.std(), len(values))
    return (values + draw)[:, None]


def test_a_grid_has_nodes_along_two_axes_or_more():
    X = nodes(30, 40)
    part = np.random.default_rng(0).permutation(1200)[:400]
    assert is_on_grid(X)
    assert is_on_grid(X[part])
    assert is_on_grid(np.hstack([X, np.ones((1200, 1))]))
    assert not is_on_grid(X[part[:200]])
    assert not is_on_grid(np.hstack([X[:, :1], np.ones((1200, 1))]))
    assert not is_on_grid(np.random.default_rng(0).uniform(size=(1200, 2)))


@pytest.mark.parametrize("name", ["china", "flower"])
@pytest.mark.parametrize("size", [16, 24, 50, 100, 300])
def test_photographs_are_pictures(name, size):
    image = Image.fromarray(load_sample_image(f"{name}.jpg")).resize((size, size))
    X, y = nodes(size, size), np.asarray(image).reshape(-1, 3)
    assert is_picture(X, y)
    assert is_picture(X, y[:, :1] / 255.0)
    if size > 24:
        kept = np.random.default_rng(0).uniform(size=len(X)) < 0.6
        assert is_picture(X[kept], y[kept])


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("size", [25, 60, 400])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: np.exp(-3 * x**2 - y),
        lambda x, y: np.sin(5 * x) * np.cos(7 * y),
        lambda x, y: np.maximum(0, 0.7 - np.hypot(x, y)),
    ],
)
def test_functions_are_none_whatever_their_noise(function, size, noise):
    X = nodes(size, size)
    assert not is_picture(X, noisy(function(*X.T), noise))


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("shape", [(9, 100), (40, 10), (10, 10, 10)])
def test_few_nodes_along_an_axis_make_no_edges(shape, noise):
    X = nodes(*shape)
    values = np.sin(8 * X[:, 0] + 1) * np.cos(6 * X[:, -1])
    assert not is_picture(X, noisy(values, noise))


def test_a_plane_is_none():
    X = nodes(20, 20)
    for dtype in (np.float32, float):
        assert not is_picture(X, (X @ [1, 2])[:, None].astype(dtype))


def test_a_function_that_rows_hardly_resolve_is_none():
    X = nodes(23, 23)
    assert not is_picture(X, np.cos(12 * np.hypot(*X.T))[:, None])


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_a_function_of_few_rows_may_be_steep_at_the_edge(noise):
    """As the six-hump camel is."""
    X = nodes(30, 30)
    x, y = X.T * [[2], [1]]
    camel = (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2
    assert not is_picture(X, noisy(camel, noise))


def test_edges_and_textures_are_pictures():
    X = nodes(60, 60)
    edge = np.where(X.sum(axis=1) > 0.2, 1.0, 0.0)
    assert is_picture(X, noisy(edge, 0.02))
    assert is_picture(X, np.random.default_rng(0).normal(size=(3600, 1)))


@pytest.mark.parametrize(("size", "is_texture"), [(30, True), (60, False)])
def test_what_looks_like_much_noise_is_rather_a_texture_if_rows_are_few(size, is_texture):
    X = nodes(size, size)
    assert is_picture(X, noisy(np.exp(-3 * X[:, 0] ** 2), 0.8)) == is_texture


def test_units_and_order_of_the_rows_make_no_difference():
    X = nodes(40, 30) * [1e-200, 1e200]
    order = np.random.default_rng(0).permutation(1200)
    smooth = np.sin(3 * np.linspace(0, 1, 1200))[:, None] * 1e300
    for values in (smooth, np.random.default_rng(1).normal(size=(1200, 1)) * 1e-300):
        assert is_picture(X, values) == is_picture(X[order], values[order])
    assert is_picture(X, np.full((1200, 1), 7.0)) == is_picture(X, np.zeros((1200, 1)))


def test_what_has_few_nodes_along_every_axis_is_none():
    assert not is_picture(nodes(5, 5, 5, 5), np.random.default_rng(0).normal(size=(625, 1)))


def test_a_large_picture_may_lack_its_middle():
    X = nodes(600, 600)
    kept = np.abs(X).max(axis=1) > 0.6
    assert is_picture(X[kept], np.random.default_rng(0).normal(size=(kept.sum(), 1)))


def test_rows_of_hardly_a_grid_take_no_more_memory_than_those_of_one():
    """A sample of them has few positions along the first axis, and all of them have many."""
    random = np.random.default_rng(0)
    X = np.column_stack([random.uniform(size=60_000), random.integers(0, 20, 60_000)])
    assert is_on_grid(X)
    tracemalloc.start()
    is_picture(X, X[:, :1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6
