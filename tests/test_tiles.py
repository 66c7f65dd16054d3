import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skinr.grids import Grid
from skinr.tiles import Axis, Tiling

shapes = st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)


@given(shapes, st.integers(1, 50))
def test_tiles_cover_the_image_and_overlap(shape, tile_size):
    seen = np.zeros(shape, int)
    for tile in Tiling.of(shape, tile_size).tiles:
        seen[tile] += 1
    assert (seen > 0).all()
    if tile_size >= max(shape):
        assert (seen == 1).all()
    else:
        assert (seen > 1).any()


@given(st.integers(1, 60), st.integers(1, 70))
def test_weights_are_a_partition_of_unity_within_the_tiles(size, tile_size):
    axis = Axis.cut(size, tile_size)
    assert np.diff(axis.borders).max() <= tile_size
    positions = np.linspace(-0.5, size - 0.5, 500)
    _, weights = axis.weights(positions)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert len(weights) == axis.n_tiles
    for weight, tile in zip(weights, map(axis.pixels_of, range(axis.n_tiles)), strict=True):
        carried = positions[weight > 0]
        assert carried.min() >= tile.start - 0.5
        assert carried.max() <= tile.stop - 0.5


@given(st.integers(1, 60), st.integers(1, 70), st.data())
def test_tiles_far_from_a_position_have_no_weight(size, tile_size, data):
    axis = Axis.cut(size, tile_size)
    positions = np.linspace(-0.5, size - 0.5, 100)
    start = data.draw(st.integers(0, 99))
    part = slice(start, data.draw(st.integers(start + 1, 100)))
    _, everywhere = axis.weights(positions)
    first, near = axis.weights(positions[part])
    expected = np.zeros_like(everywhere[:, part])
    expected[first : first + len(near)] = near
    np.testing.assert_array_equal(everywhere[:, part], expected)


def test_a_signal_of_many_tiles_takes_the_weights_of_few():
    first, weights = Axis.cut(5_000_000, 2000).weights(np.arange(3_000_000.0, 3_065_536.0))
    assert first + len(weights) < 1540
    assert len(weights) < 40


def test_weights_have_no_step_and_no_kink():
    positions = np.linspace(-0.5, 99.5, 20_001)
    for weight in Axis.cut(100, 20).weights(positions)[1]:
        slope = np.gradient(weight, positions)
        assert np.abs(np.diff(weight)).max() < 0.01
        assert np.abs(np.diff(slope)).max() < 0.02


@given(shapes, st.integers(1, 50), st.floats(0.3, 2.5))
def test_parts_blend_any_function_of_the_position(shape, tile_size, scale):
    """Every tile knows the function; where each evaluates it, blended, is the whole."""
    tiling, grid = Tiling.of(shape, tile_size), Grid.over(shape, scale=scale)
    blended = np.zeros((*grid.shape, len(shape)))
    for part in tiling.parts(grid):
        tile = tiling.tiles[part.tile]
        start, stop = np.transpose([[axis.start, axis.stop] for axis in tile])
        local = part.grid.positions()
        assert (local >= -0.501).all()
        assert (local <= stop - start - 0.499).all()
        blended[part.place] += part.weight[..., None] * (local + start).reshape(
            *part.grid.shape, -1
        )
    np.testing.assert_allclose(blended.reshape(-1, len(shape)), grid.positions(), atol=1e-4)


@pytest.mark.parametrize("tile_size", [0, (3,), (3, 3, 3), (3, 2.5), "ab"], ids=str)
def test_bad_tile_sizes(tile_size):
    with pytest.raises(ValueError, match="tile_size"):
        Tiling.of((10, 10), tile_size)
