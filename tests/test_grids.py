import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from skinr.grids import Grid

SHAPE = (30, 42)


def smooth(rows, columns):
    """Return a function that varies slowly within the image, and is 0 towards its edge."""
    bump = np.exp(-(((rows - 14.2) / 5) ** 2) - ((columns - 20.7) / 6) ** 2)
    return bump * (1 + 0.2 * np.sin(rows / 3) * np.cos(columns / 4))


IMAGE = smooth(*np.mgrid[: SHAPE[0], : SHAPE[1]])


def sampled(grid):
    return smooth(*grid.positions().T).reshape(grid.shape)


def shift_between(first, second):
    """Return by how many pixels the centre of mass of two images differs, along each axis."""
    return np.subtract(ndimage.center_of_mass(first), ndimage.center_of_mass(second))


@pytest.mark.parametrize("new", [(120, 168), (60, 84), (31, 43), (100, 42), (15, 21), (29, 60)])
def test_pillows_geometry(new):
    """A smooth image is enlarged and reduced as Pillow does it, and not shifted."""
    ours = sampled(Grid.over(SHAPE, new))
    resized = Image.fromarray(IMAGE.astype(np.float32)).resize(new[::-1], Image.Resampling.BICUBIC)
    theirs = np.asarray(resized)
    np.testing.assert_allclose(ours, theirs, atol=0.02)
    np.testing.assert_allclose(shift_between(ours, theirs), 0, atol=1e-3)


@pytest.mark.parametrize("scale", [4, 2, 1.5, (3, 1), 0.5])
def test_scipys_geometry(scale):
    ours = sampled(Grid.over(SHAPE, scale=scale))
    theirs = ndimage.zoom(
        IMAGE, np.divide(ours.shape, SHAPE), order=3, grid_mode=True, mode="grid-constant"
    )
    np.testing.assert_allclose(ours, theirs, atol=0.005)
    np.testing.assert_allclose(shift_between(ours, theirs), 0, atol=1e-3)


@pytest.mark.parametrize("box", [(4, 30, 10, 38), (3.5, 28.25, 7.75, 40)])
def test_a_region_is_pillows_box(box):
    top, bottom, left, right = box
    ours = sampled(Grid.over(SHAPE, (80, 90), region=((top, bottom), (left, right))))
    resized = Image.fromarray(IMAGE.astype(np.float32)).resize(
        (90, 80), Image.Resampling.BICUBIC, box=(left, top, right, bottom)
    )
    np.testing.assert_allclose(ours, np.asarray(resized), atol=0.01)


@given(st.integers(1, 9), st.data())
def test_a_region_is_a_part_of_the_whole(scale, data):
    bounds = [
        sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True)))
        for n in SHAPE
    ]
    whole = Grid.over(SHAPE, scale=scale)
    slices = tuple(slice(scale * start, scale * stop) for start, stop in bounds)
    part = Grid.over(SHAPE, scale=scale, region=bounds)
    np.testing.assert_allclose(part.positions(), whole.take(slices).positions(), atol=1e-5)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple), st.integers(1, 500))
def test_blocks_cover_every_pixel_once(shape, n_pixels):
    grid, seen = Grid.over(shape), np.zeros(shape, int)
    for block in grid.blocks(n_pixels):
        assert 0 < seen[block].size <= n_pixels
        assert grid.take(block).shape == seen[block].shape
        seen[block] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("scale", [np.array(2.0), np.array([2, 2]), np.float32(2)], ids=repr)
def test_a_scale_may_be_numpys(scale):
    assert Grid.over(SHAPE, scale=scale).shape == (60, 84)


def test_long_axes_keep_their_precision():
    grid = Grid.over((5_000_000,), region=[(4_999_990, 5_000_000)], scale=2)
    steps = np.diff(grid.positions()[:, 0])
    np.testing.assert_allclose(steps, 0.5, atol=1e-6)
    grid = Grid.over((30_000, 2), region=[(29_999, 30_000), (0, 1)], scale=(100, 1))
    np.testing.assert_allclose(np.diff(grid.axes[0]), 0.01, atol=1e-6)


def test_blocks_of_long_images_are_as_large_as_others():
    blocks = list(Grid.over((2, 300_000)).blocks(2**16))
    assert len(blocks) == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": -2}, "scale"),
        ({"scale": np.nan}, "scale"),
        ({"scale": np.inf}, "scale"),
        ({"scale": "2"}, "scale"),
        ({"scale": (1, 2, 3)}, "scale"),
        ({"scale": 2, "shape": (3, 4)}, "one of them"),
        ({"shape": (3,)}, "shape"),
        ({"shape": (3, 0)}, "shape"),
        ({"shape": (3.5, 2)}, "shape"),
        ({"shape": (10**20, 10**20)}, "memory"),
        ({"shape": (10**16, 1)}, "memory"),
        ({"shape": (10**9, 10**9)}, "memory"),
        ({"scale": 1e12}, "memory"),
        ({"scale": 1e308}, "scale"),
        ({"scale": 10**400}, "scale"),
        ({"region": ((0, 5), (0, 10**400))}, "region"),
        ({"region": ((0, 5),)}, "region"),
        ({"region": ((0, 5), (4, 4))}, "region"),
        ({"region": ((0, 31), (0, 4))}, "region"),
        ({"region": ((-1, 3), (0, 4))}, "region"),
        ({"region": ((0, np.nan), (0, 4))}, "region"),
        ({"region": (0, 3)}, "region"),
        ({"region": "all"}, "region"),
        ({"region": 3}, "region"),
    ],
    ids=str,
)
def test_unusable_grids(options, message):
    with pytest.raises(ValueError, match=message):
        Grid.over(SHAPE, **options)
