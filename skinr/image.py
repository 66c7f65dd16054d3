"""Images to coordinates and values, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import (
    _check_n_features,
    check_array,
    check_is_fitted,
    validate_data,
)

from skinr.features import features_kept_on_error
from skinr.grids import Grid, Region, as_shape, to_coordinates
from skinr.pixels import (
    ImageFormat,
    ImageSource,
    make_image,
    read_image,
    refuse_masks,
    to_pixels,
    to_values,
)

Array = NDArray[Any]


class ImageCoordinateTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Pixel positions to coordinates in [-1, 1], and whole images to arrays and back.

    As a step of a pipeline it maps rows of pixel positions to coordinates. Pixel centres lie at
    whole numbers, so an axis of `size` pixels spans [-0.5, size - 0.5], and that span maps to
    [-1, 1]: coordinate = (2 position + 1) / size - 1.

    Beside that, :meth:`image_to_arrays`, :meth:`arrays_to_image` and :meth:`grid` convert whole
    images. The same goes for grids of any dimension: a sound is a grid of one axis, a volume or a
    video one of three.

    Parameters
    ----------
    shape : tuple of int, default=None
        Number of pixels along each axis. None learns it in `fit` from the positions, or in
        `image_to_arrays` from the image.

    Attributes
    ----------
    shape_ : tuple of int
        Number of pixels along each axis, of the span that maps to [-1, 1].

    image_format_ : ImageFormat
        Shape, channels, dtype and mode of the image that was converted last; only there until a
        fit to positions along another number of axes.

    n_features_in_ : int
        Number of axes of the grid.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the axes, where X has string names.

    See Also
    --------
    SirenRegressor : The regressor that learns values from coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from skinr import ImageCoordinateTransformer
    >>> image = np.arange(8, dtype=np.uint8).reshape(2, 4)
    >>> pixels = ImageCoordinateTransformer()
    >>> X, y = pixels.image_to_arrays(image)
    >>> X.shape, y.shape
    ((8, 2), (8,))
    >>> pixels.transform(X)[0].tolist()
    [-0.5, -0.75]
    >>> bool((pixels.arrays_to_image(y) == image).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"shape": [None, "array-like"]}

    def __init__(self, shape: tuple[int, ...] | None = None) -> None:
        self.shape = shape

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> ImageCoordinateTransformer:
        """Learn the number of pixels along each axis.

        Parameters
        ----------
        X : array-like of shape (n_pixels, n_axes)
            Pixel positions, in pixels.
        y : None
            Ignored.

        Returns
        -------
        self : ImageCoordinateTransformer

        Raises
        ------
        ValueError
            If X is not a finite table of numbers, or `shape` does not fit its columns.
        TypeError
            If X is a picture of Pillow's, a path or a file.
        """
        with features_kept_on_error(self):
            positions = self._validate_positions(X, reset=True)
            if self.shape is None:
                highest = positions.max(axis=0).clip(0, np.iinfo(np.int64).max // 2)
                self.shape_ = tuple(int(size) for size in np.floor(highest + 0.5) + 1)
            else:
                self.shape_ = as_shape("shape", self.shape, positions.shape[1])
        image_format = getattr(self, "image_format_", None)
        if image_format and len(image_format.grid_shape) != len(self.shape_):
            del self.image_format_
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Map positions to coordinates.

        Parameters
        ----------
        X : array-like of shape (n_pixels, n_axes)
            Pixel positions, in pixels; also between the pixels and beyond them.

        Returns
        -------
        coordinates : ndarray of shape (n_pixels, n_axes)
            In [-1, 1] within the grid; float32 if X is, else float64.

        Raises
        ------
        NotFittedError
            Before a fit or a conversion of an image.
        ValueError
            If X is not a finite table of numbers with a column for each axis of the grid.
        TypeError
            If X is a picture of Pillow's, a path or a file.
        """
        return to_coordinates(self._validate_positions(X, reset=False), self.shape_)

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Map coordinates to positions.

        Parameters
        ----------
        X : array-like of shape (n_pixels, n_axes)
            Coordinates.

        Returns
        -------
        positions : ndarray of shape (n_pixels, n_axes)
            Pixel positions; float32 if X is, else float64.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As :meth:`transform`.
        """
        with _image_hint(X):
            check_is_fitted(self)
            coordinates = check_array(X, dtype=[np.float64, np.float32])
            _check_n_features(self, coordinates, reset=False)
        size = np.asarray(self.shape_, coordinates.dtype)
        positions: Array = (coordinates + 1) * (size / 2) - 0.5
        return positions

    @_fit_context(prefer_skip_nested_validation=True)
    def image_to_arrays(
        self, image: ImageSource, channel_axis: int | str | None = "auto"
    ) -> tuple[Array, Array]:
        """Take an image apart into positions and values, and remember its format.

        Parameters
        ----------
        image : PIL.Image.Image, ndarray, path, or binary file
            An array of bool, of 8, 16 or 32-bit integers or of floats. A picture of one of
            Pillow's modes 1, L, LA, La, P, PA, RGB, RGBA, RGBa, RGBX, CMYK, YCbCr, LAB, HSV, I,
            I;16 and F: upright as its EXIF orientation says, its bands as they are, but colours
            for the indices of a palette, and with alpha where one colour of L or RGB stands for
            transparent pixels. The hue of HSV jumps at red, so convert that to RGB. Of a file of
            16-bit colours Pillow reads the upper 8 bits; an array keeps them all.
        channel_axis : int, None or "auto", default="auto"
            The axis of an array that holds the values of one pixel; None where there is none.
            "auto" takes the last axis for channels where there are three axes or more and it has
            at most 4 entries. A picture has its own.

        Returns
        -------
        X : ndarray of shape (n_pixels, n_axes)
            Positions (row, column) in pixels, row by row.
        y : ndarray of shape (n_pixels,) or (n_pixels, n_channels)
            Values, integers divided by the largest one of their dtype, which makes [0, 1], or
            about [-1, 1] where they are signed; floats as they are, NaN for a missing pixel.
            float32, or float64 where the pixels need it.

        Raises
        ------
        ValueError
            If the image is corrupt, empty, too large for Pillow, of another mode or dtype,
            infinite somewhere, or not of the constructor's `shape`.
        TypeError
            If it is a masked array, or not an image at all.
        OSError
            If the path is not that of a file that can be opened.
        """
        pixels = self._take_apart(image, channel_axis)
        values = to_values(pixels.reshape(-1, pixels.shape[-1]))
        return self.grid(), values[:, 0] if self.image_format_.n_channels is None else values

    def arrays_to_image(
        self, y: ArrayLike, shape: tuple[int, ...] | None = None
    ) -> Image.Image | Array:
        """Put values together to an image of the format that `image_to_arrays` has seen.

        Parameters
        ----------
        y : array-like of shape (n_pixels, n_channels), or (n_pixels,) where there is one channel
            Values of the pixels row by row. Integer pixels are clipped and rounded, booleans are
            what is above 0.5, floats are clipped to the finite ones of the image's dtype.
        shape : tuple of int, default=None
            Number of pixels along each axis; None for that of the image.

        Returns
        -------
        image : PIL.Image.Image or ndarray
            Of the mode and dtype of the image. A file has become a PIL.Image.Image, of which
            `info` keeps the colour profile, the dots per inch and what is transparent, but no EXIF
            and no comment. Where that had a palette, it has the nearest of the colours in use.

        Raises
        ------
        NotFittedError
            If there was no image yet.
        ValueError
            If the values do not fit the shape or the channels, or are not finite; NaN may be in an
            image of floats.
        TypeError
            If they are a masked array.
        """
        if not hasattr(self, "image_format_"):
            raise NotFittedError("The image's format is not known yet: call image_to_arrays first.")
        image_format = self.image_format_
        sizes = image_format.grid_shape
        grid_shape = sizes if shape is None else as_shape("shape", shape, len(sizes))
        refuse_masks("y", y)
        values = np.asarray(y)
        n_channels = image_format.n_channels or 1
        n_pixels = prod(grid_shape)
        accepted: list[tuple[int, ...]] = [(n_pixels, n_channels)]
        if n_channels == 1:
            accepted.append((n_pixels,))
        if values.shape not in accepted:
            raise ValueError(
                f"y has shape {values.shape}; an image of shape {grid_shape} takes "
                f"{' or '.join(map(str, accepted))}."
            )
        is_unusable = np.isinf if image_format.dtype.kind == "f" else lambda y: ~np.isfinite(y)
        if values.dtype.kind not in "buif":
            raise ValueError(f"y must hold real numbers; it is of dtype {values.dtype}.")
        if is_unusable(values).any():
            raise ValueError("y must hold finite numbers; it has NaN or infinity.")
        pixels = to_pixels(values, image_format.dtype).reshape(*grid_shape, n_channels)
        return make_image(pixels, image_format)

    def grid(self, shape: tuple[int, ...] | None = None, region: Region | None = None) -> Array:
        """Return the positions of the pixels of a grid that covers the image, or a part of it.

        Parameters
        ----------
        shape : tuple of int, default=None
            Number of pixels along each axis; None for that of the image or the region.
        region : sequence of (start, stop), default=None
            What to cover, in pixels along each axis, as in slices; also fractions of pixels.
            None covers the image.

        Returns
        -------
        X : ndarray of shape (n_pixels, n_axes)
            Positions in pixels of the image, row by row; float32, or float64 where an axis is
            longer than 16,384. The centre of pixel i of `new` ones is at
            start + (i + 0.5) (stop - start) / new - 0.5.

        Raises
        ------
        ValueError
            If `shape` or `region` do not fit the image.
        """
        check_is_fitted(self)
        image_format: ImageFormat | None = getattr(self, "image_format_", None)
        sizes = self.shape_ if image_format is None else image_format.grid_shape
        return Grid.over(sizes, shape, region=region).positions()

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags of this estimator."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _take_apart(self, image: ImageSource, channel_axis: int | str | None) -> Array:
        """Return the pixels of an image, channels last, and remember the rest of it."""
        pixels, image_format = read_image(image, channel_axis)
        sizes = image_format.grid_shape
        if self.shape is not None and as_shape("shape", self.shape, len(sizes)) != sizes:
            raise ValueError(f"The image has shape {sizes}; shape={self.shape!r} is accepted.")
        self.shape_ = sizes
        self.n_features_in_ = len(sizes)
        self.__dict__.pop("feature_names_in_", None)
        self.image_format_ = image_format
        return pixels

    def _validate_positions(self, X: ArrayLike, *, reset: bool) -> Array:
        with _image_hint(X):
            if not reset:
                check_is_fitted(self)
            positions: Array = validate_data(self, X, dtype=[np.float64, np.float32], reset=reset)
        return positions


@contextmanager
def _image_hint(X: ArrayLike) -> Iterator[None]:
    """Say in the error about a table of positions what to do with an image."""
    hint = "A table of pixel positions is accepted; image_to_arrays makes one of an image."
    if isinstance(X, Image.Image | str | bytes | os.PathLike) or hasattr(X, "read"):
        raise TypeError(f"{type(X).__name__} given. {hint}")
    try:
        yield
    except ValueError as error:
        if np.ndim(X) > 2 or "features, but" in str(error):
            raise ValueError(f"{error} {hint}") from error
        raise
