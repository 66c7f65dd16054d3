"""Grids of pixels: where their centres are, in the pixels of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

Array = NDArray[Any]
Region = Sequence[tuple[float, float]]

LONGEST_FLOAT32_AXIS = 2**14
"""Positions along longer axes are float64: float32 would round them by a thousandth of a pixel."""

LARGEST_FACTOR = 1e30
"""By which an image can be enlarged: its number of pixels is finite then."""


class Grid(NamedTuple):
    """The pixels of an image, of a part of it, or of one of another size over the same span.

    Parameters
    ----------
    axes : tuple of ndarray
        Positions of the pixel centres along each axis, in pixels of the image.
    """

    axes: tuple[Array, ...]

    @classmethod
    def over(
        cls,
        image_shape: tuple[int, ...],
        shape: Any = None,
        scale: Any = None,
        region: Any = None,
    ) -> Grid:
        """Divide an image, or a region of it, into new pixels.

        A region from `start` to `stop` spans [start - 0.5, stop - 0.5], and the centre of pixel i
        of `new` ones lies at start + (i + 0.5) (stop - start) / new - 0.5.

        Parameters
        ----------
        image_shape : tuple of int
            Number of pixels along each axis.
        shape : tuple of int, optional
            Number of new pixels along each axis.
        scale : float or tuple of float, optional
            New pixels for one of the image, along all or along each of the axes; 1 where neither
            this nor `shape` is given. Their number is rounded, the span is exact.
        region : sequence of (start, stop), optional
            Pixels along each axis, as in slices; also fractions of them. All where it is not given.

        Returns
        -------
        grid : Grid

        Raises
        ------
        ValueError
            If one of them is unusable, or both `shape` and `scale` are given, or if the positions
            along an axis do not fit in memory.
        """
        bounds = _as_bounds(region, image_shape)
        extents = [stop - start for start, stop in bounds]
        if shape is not None and scale is not None:
            raise ValueError(f"shape={shape!r} and scale={scale!r} given; one of them is accepted.")
        if shape is not None:
            new_shape = as_shape("shape", shape, len(image_shape))
        else:
            factors = _as_factors(scale, len(image_shape))
            new_shape = tuple(
                max(1, round(extent * factor))
                for extent, factor in zip(extents, factors, strict=True)
            )
        try:
            np.empty(new_shape, bool)  # fails at once where axes would first fill the memory
            return cls(
                tuple(
                    (start + (np.arange(new) + 0.5) * (extent / new) - 0.5).astype(
                        np.float32 if size <= LONGEST_FLOAT32_AXIS else np.float64
                    )
                    for (start, _), extent, new, size in zip(
                        bounds, extents, new_shape, image_shape, strict=True
                    )
                )
            )
        except (MemoryError, ValueError) as error:
            raise does_not_fit(new_shape, error) from error

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of pixels along each axis."""
        return tuple(len(axis) for axis in self.axes)

    def positions(self) -> Array:
        """Return the positions (n_pixels, n_axes), row by row."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, len(self.axes))

    def take(self, slices: tuple[slice, ...]) -> Grid:
        """Return the part of the grid that slices of each axis cut out."""
        return Grid(tuple(axis[part] for axis, part in zip(self.axes, slices, strict=True)))

    def from_origin(self, origin: Sequence[int]) -> Grid:
        """Return the same pixels, in positions counted from the pixel `origin`."""
        return Grid(tuple(axis - start for axis, start in zip(self.axes, origin, strict=True)))

    def blocks(self, n_pixels: int) -> Iterator[tuple[slice, ...]]:
        """Yield slices that cut the grid into blocks of about `n_pixels`, cubes where they fit."""
        edges, n_left = [0] * len(self.axes), n_pixels
        for n_set, axis in enumerate(np.argsort(self.shape)):
            equal = int(n_left ** (1 / (len(edges) - n_set)))
            edges[axis] = max(1, min(equal, self.shape[axis]))
            n_left //= edges[axis]
        return product(*map(gen_batches, self.shape, edges))


def does_not_fit(shape: tuple[int, ...], reason: Exception) -> ValueError:
    """Return the error that says that an image of some shape does not fit in memory."""
    return ValueError(
        f"An image of shape {shape} asked for, which does not fit in memory: {reason}"
    )


def to_coordinates(positions: Array, shape: tuple[int, ...]) -> Array:
    """Map positions in an image to coordinates, and its span to [-1, 1].

    Parameters
    ----------
    positions : ndarray of shape (n_pixels, n_axes)
    shape : tuple of int
        Of the image.

    Returns
    -------
    coordinates : ndarray of shape (n_pixels, n_axes), of the same dtype
    """
    size = np.asarray(shape, positions.dtype)
    coordinates: Array = (positions + 0.5) / (size / 2) - 1
    return coordinates


def as_shape(name: str, shape: Any, n_axes: int) -> tuple[int, ...]:
    """Return a shape as a tuple of int, or raise a ValueError.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    shape : int or sequence of int
    n_axes : int

    Returns
    -------
    shape : tuple of int
    """
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    if len(sizes) != n_axes or not all(map(_is_size, sizes)):
        raise ValueError(f"{name} must be {n_axes} integers of at least 1; {shape!r} given.")
    return tuple(int(size) for size in sizes)


def _is_size(size: Any) -> bool:
    return isinstance(size, int | np.integer) and not isinstance(size, bool) and int(size) > 0


def _as_factors(scale: Any, n_axes: int) -> tuple[float, ...]:
    if scale is None:
        return (1.0,) * n_axes
    factors = tuple(scale) if np.iterable(scale) else (np.asarray(scale)[()],) * n_axes
    if len(factors) != n_axes or not all(map(_is_factor, factors)):
        raise ValueError(f"scale must be a positive number, or {n_axes} of them; {scale!r} given.")
    return tuple(float(factor) for factor in factors)


def _is_factor(factor: Any) -> bool:
    try:
        return isinstance(factor, Real) and 0 < float(factor) <= LARGEST_FACTOR
    except OverflowError:
        return False


def _as_bounds(region: Any, image_shape: tuple[int, ...]) -> list[tuple[float, float]]:
    if region is None:
        return [(0.0, float(size)) for size in image_shape]
    try:
        bounds = [(float(start), float(stop)) for start, stop in region]
        inside = [
            0 <= start < stop <= size
            for (start, stop), size in zip(bounds, image_shape, strict=True)
        ]
    except (TypeError, ValueError, OverflowError):
        inside = [False]
    if not all(inside):
        raise ValueError(
            f"region must be a (start, stop) for each axis, with 0 <= start < stop within the "
            f"image of shape {image_shape}; {region!r} given."
        )
    return bounds
