import tracemalloc

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
    total = np.zeros(500)
    for k, place, weight in axis.weights(positions):
        assert weight.min() >= 0
        total[place] += weight
        tile, carried = axis.pixels(k), positions[place]
        assert carried.min() >= tile.start - 0.5
        assert carried.max() <= tile.stop - 0.5
    np.testing.assert_allclose(total, 1)


def test_weights_have_no_step_and_no_kink():
    positions = np.linspace(-0.5, 99.5, 20_001)
    for _, place, carried in Axis.cut(100, 20).weights(positions):
        weight = np.zeros(len(positions))
        weight[place] = carried
        slope = np.gradient(weight, positions)
        assert np.abs(np.diff(weight)).max() < 0.01
        assert np.abs(np.diff(slope)).max() < 0.02


def test_tiles_elsewhere_cost_nothing():
    tiling = Tiling.of((100_000,), 100)
    grid = Grid.over((100_000,), region=[(50_000, 60_000)])
    tracemalloc.start()
    parts = list(tiling.parts(grid))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [part.tile for part in parts] == list(range(499, 601))
    assert peak < 2_000_000


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
