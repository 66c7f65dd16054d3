"""Tiles: an image cut into overlapping parts, whose functions blend into one without seams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
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
    def slices(self) -> list[slice]:
        """The pixels of each tile, those that it shares included."""
        size = int(self.borders[-1])
        return [
            slice(max(int(start) - self.overlap, 0), min(int(stop) + self.overlap, size))
            for start, stop in pairwise(self.borders)
        ]

    def weights(self, positions: Array) -> Array:
        """Return how much each tile counts at each position.

        A tile fades in and out across its borders along Hermite's cubic, which has a continuous
        slope. Where one fades out the next fades in, so the weights at a position sum to 1.

        Parameters
        ----------
        positions : ndarray of shape (n_positions,)
            In pixels.

        Returns
        -------
        weights : ndarray of shape (n_tiles, n_positions)
            In [0, 1].
        """
        steps = np.zeros((len(self.borders), len(positions)))
        steps[0] = 1
        inner = self.borders[1:-1, None]
        ramp = ((positions + 0.5 - inner) / (2 * self.overlap) + 0.5).clip(0, 1)
        steps[1:-1] = ramp**2 * (3 - 2 * ramp)
        return steps[:-1] - steps[1:]


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
        return list(product(*(axis.slices for axis in self.axes)))

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
        weights = [axis.weights(at) for axis, at in zip(self.axes, grid.axes, strict=True)]
        touched = [np.flatnonzero(weight.any(axis=1)) for weight in weights]
        slices = [axis.slices for axis in self.axes]
        for index in product(*touched):
            tile_weights = [weight[k] for weight, k in zip(weights, index, strict=True)]
            place = tuple(_support(weight) for weight in tile_weights)
            start = [part[k].start for part, k in zip(slices, index, strict=True)]
            yield Part(
                int(np.ravel_multi_index(index, [len(part) for part in slices])),
                place,
                grid.take(place).from_origin(start),
                _outer([weight[at] for weight, at in zip(tile_weights, place, strict=True)]),
            )


def _support(weight: Array) -> slice:
    positive = np.flatnonzero(weight)
    return slice(int(positive[0]), int(positive[-1]) + 1)


def _outer(factors: list[Array]) -> Array:
    weight = np.ones(())
    for factor in factors:
        weight = np.multiply.outer(weight, factor)
    return weight
