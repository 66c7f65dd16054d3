"""Tiles: an image cut into overlapping parts, whose functions blend into one without seams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skinr.grids import Grid, as_shape

Array = NDArray[Any]
Slices = tuple[slice, ...]

OVERLAP = 1 / 16
"""How far a tile reaches into its neighbours, in tile sizes."""


class Axis(NamedTuple):
    """The tiles along one axis.

    Parameters
    ----------
    borders : ndarray of shape (n_tiles + 1,), int
        Where tiles meet, from 0 to the number of pixels, as bounds of slices.
    overlap : int
        How many pixels a tile reaches across its borders.
    """

    borders: NDArray[np.intp]
    overlap: int

    @classmethod
    def cut(cls, size: int, tile_size: int) -> Axis:
        """Cut an axis into equal tiles of at most `tile_size` pixels, overlaps left out."""
        n_tiles = ceil(size / tile_size)
        borders = np.rint(np.linspace(0, size, n_tiles + 1)).astype(np.intp)
        return cls(borders, ceil(OVERLAP * tile_size))

    @property
    def n_tiles(self) -> int:
        """How many there are."""
        return len(self.borders) - 1

    def pixels_of(self, tile: int) -> slice:
        """Return the pixels of a tile, those that it shares included."""
        start, stop = map(int, self.borders[tile : tile + 2])
        return slice(max(start - self.overlap, 0), min(stop + self.overlap, int(self.borders[-1])))

    def weights(self, positions: Array) -> tuple[int, Array]:
        """Return how much each tile near some positions counts at each of them.

        A tile fades in and out across its borders along Hermite's cubic, which has a continuous
        slope. Where one fades out the next fades in, so the weights at a position sum to 1.

        Parameters
        ----------
        positions : ndarray of shape (n_positions,)
            In pixels, increasing.

        Returns
        -------
        first : int
            The first tile near them.
        weights : ndarray of shape (n_tiles_near, n_positions)
            In [0, 1]; those of all other tiles are 0.
        """
        reach = np.array([-1, 1]) * (self.overlap + 1)
        first, last = np.searchsorted(self.borders[1:-1], positions[[0, -1]] + reach)
        inner = self.borders[first + 1 : last + 1, None]
        steps = np.zeros((len(inner) + 2, len(positions)))
        steps[0] = 1
        ramp = ((positions + 0.5 - inner) / (2 * self.overlap) + 0.5).clip(0, 1)
        steps[1:-1] = ramp**2 * (3 - 2 * ramp)
        return int(first), steps[:-1] - steps[1:]


class Part(NamedTuple):
    """What one tile has to say about a grid.

    Parameters
    ----------
    tile : int
        Index of the tile.
    place : tuple of slice
        Pixels of the grid that the tile has a weight in.
    grid : Grid
        Those pixels, in positions of the tile.
    weight : ndarray of the shape of that grid
    """

    tile: int
    place: Slices
    grid: Grid
    weight: Array


class Tiling(NamedTuple):
    """An image cut into tiles along each axis.

    Parameters
    ----------
    axes : tuple of Axis
    """

    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], tile_size: int | tuple[int, ...] | None) -> Tiling:
        """Cut an image of some shape.

        Parameters
        ----------
        shape : tuple of int
        tile_size : int, tuple of int or None
            Largest size of a tile along all or along each of the axes, overlaps left out; None
            makes one tile.

        Returns
        -------
        tiling : Tiling

        Raises
        ------
        ValueError
            If `tile_size` is unusable.
        """
        if tile_size is None:
            tile_size = shape
        elif not np.iterable(tile_size):
            tile_size = (tile_size,) * len(shape)
        sizes = as_shape("tile_size", tile_size, len(shape))
        return cls(tuple(map(Axis.cut, shape, sizes)))

    @property
    def tiles(self) -> list[Slices]:
        """The pixels of each tile, row by row."""
        return list(product(*(map(axis.pixels_of, range(axis.n_tiles)) for axis in self.axes)))

    def parts(self, grid: Grid) -> Iterator[Part]:
        """Yield what the tiles that touch a grid have to say about it.

        Parameters
        ----------
        grid : Grid
            In positions of the image, increasing along each axis.

        Yields
        ------
        part : Part
            At every pixel the weights of all parts sum to 1.
        """
        along_axes = [_tiles_along(axis, at) for axis, at in zip(self.axes, grid.axes, strict=True)]
        n_tiles = [axis.n_tiles for axis in self.axes]
        for parts in product(*along_axes):
            index, starts, weights = zip(*parts, strict=True)
            place = tuple(map(_support, weights))
            yield Part(
                int(np.ravel_multi_index(index, n_tiles)),
                place,
                grid.take(place).from_origin(starts),
                _outer([weight[at] for weight, at in zip(weights, place, strict=True)]),
            )


def _tiles_along(axis: Axis, positions: Array) -> list[tuple[int, int, Array]]:
    """Return the tiles that touch positions: their index, first pixel and weights."""
    first, weights = axis.weights(positions)
    return [
        (tile, axis.pixels_of(tile).start, weight)
        for tile, weight in enumerate(weights, first)
        if weight.any()
    ]


def _support(weight: Array) -> slice:
    positive = np.flatnonzero(weight)
    return slice(int(positive[0]), int(positive[-1]) + 1)


def _outer(factors: list[Array]) -> Array:
    weight = np.ones(())
    for factor in factors:
        weight = np.multiply.outer(weight, factor)
    return weight
