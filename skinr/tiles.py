"""Tiles: an image cut into overlapping parts, whose functions blend into one without seams."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
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
        """Number of tiles."""
        return len(self.borders) - 1

    def pixels(self, tile: int) -> slice:
        """Return the pixels of a tile, those that it shares included."""
        start, stop = map(int, self.borders[tile : tile + 2])
        return slice(max(start - self.overlap, 0), min(stop + self.overlap, int(self.borders[-1])))

    def weights(self, positions: Array) -> Iterator[tuple[int, slice, Array]]:
        """Yield the tiles that count at some of the positions, where, and how much there.

        A tile fades in and out across its borders along Hermite's cubic, which has a continuous
        slope. Where one fades out the next fades in, so the weights at a position sum to 1.

        Parameters
        ----------
        positions : ndarray of shape (n_positions,)
            In pixels, increasing.

        Yields
        ------
        tile : int
        place : slice
            Of the positions.
        weight : ndarray of shape (n_positions_there,)
            In [0, 1].
        """
        edges = positions + 0.5
        borders = np.concatenate(([-np.inf], self.borders[1:-1], [np.inf]))
        starts, stops = borders[:-1] - self.overlap, borders[1:] + self.overlap
        first, last = np.searchsorted(stops, edges[0]), np.searchsorted(starts, edges[-1])
        for tile in range(first, last):
            begin, end = map(int, np.searchsorted(edges, (starts[tile], stops[tile])))
            distances = edges[begin:end] - borders[tile : tile + 2, None]
            ramp = (distances / (2 * self.overlap) + 0.5).clip(0, 1)
            fade_in, fade_out = ramp**2 * (3 - 2 * ramp)
            weight = fade_in - fade_out
            positive = np.flatnonzero(weight)
            if len(positive):
                head, tail = int(positive[0]), int(positive[-1]) + 1
                yield tile, slice(begin + head, begin + tail), weight[head:tail]


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
        return list(product(*(map(axis.pixels, range(axis.n_tiles)) for axis in self.axes)))

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
        counts = [axis.n_tiles for axis in self.axes]
        along = (axis.weights(at) for axis, at in zip(self.axes, grid.axes, strict=True))
        for parts in product(*along):
            tiles, place, weights = zip(*parts, strict=True)
            start = [axis.pixels(k).start for axis, k in zip(self.axes, tiles, strict=True)]
            yield Part(
                int(np.ravel_multi_index(tiles, counts)),
                place,
                grid.take(place).from_origin(start),
                reduce(np.multiply.outer, weights),
            )
