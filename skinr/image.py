"""Images to coordinates and values, and back."""

from __future__ import annotations

import os
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

Array = NDArray[Any]
ImageSource = Image.Image | Array | str | os.PathLike[str] | IO[bytes]

PIL_MODES = ("1", "L", "LA", "RGB", "RGBA", "CMYK", "I;16", "F")
"""Modes of Pillow that have an array of their own."""

VALUE_DTYPES = {
    "bool": np.float32,
    "uint8": np.float32,
    "uint16": np.float32,
    "uint32": np.float64,
    "float16": np.float32,
    "float32": np.float32,
    "float64": np.float64,
}
"""Accepted pixel dtypes, and the dtype that holds their values without loss."""

MAX_CHANNELS = 4
"""A last axis of so many entries, in an array of three axes or more, is taken for channels."""


class ImageFormat(NamedTuple):
    """What an image is apart from its pixels.

    Parameters
    ----------
    grid_shape : tuple of int
        Number of pixels along each axis, channels left out.
    n_channels : int or None
        Number of values of a pixel; None where there is no channel axis.
    channel_axis : int or None
        Where the channels are in the image's array.
    dtype : numpy.dtype
        Type of the pixels.
    mode : str or None
        Pillow's mode; None for an array.
    """

    grid_shape: tuple[int, ...]
    n_channels: int | None
    channel_axis: int | None
    dtype: np.dtype[Any]
    mode: str | None


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
        Shape, channels, dtype and mode of the image that was converted last.

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
            If X is an image.
        """
        positions = self._validate_positions(X, reset=True)
        if self.shape is None:
            highest = positions.max(axis=0).clip(0, np.iinfo(np.int64).max // 2)
            self.shape_ = tuple(int(size) for size in np.floor(highest + 0.5) + 1)
        else:
            self.shape_ = _as_shape(self.shape, positions.shape[1])
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
        """
        check_is_fitted(self)
        positions = self._validate_positions(X, reset=False)
        size = np.asarray(self.shape_, positions.dtype)
        coordinates: Array = (positions + 0.5) / (size / 2) - 1
        return coordinates

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
        """
        check_is_fitted(self)
        coordinates = self._validate_positions(X, reset=False)
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
            Pixels of dtype bool, uint8, uint16, uint32, float16, float32 or float64; Pillow's
            modes 1, L, LA, RGB, RGBA, CMYK, I;16 and F.
        channel_axis : int, None or "auto", default="auto"
            The axis of an array that holds the values of one pixel; None where there is none.
            "auto" takes the last axis for channels where there are three axes or more and it has
            at most 4 entries.

        Returns
        -------
        X : ndarray of shape (n_pixels, n_axes)
            Positions (row, column) in pixels, row by row, float32.
        y : ndarray of shape (n_pixels,) or (n_pixels, n_channels)
            Values, integers divided by the largest one of their dtype, which makes [0, 1];
            floats as they are. float32, or float64 where the pixels need it.

        Raises
        ------
        ValueError
            If the image is corrupt, empty, too large for Pillow, of another mode or dtype, not
            finite, or not of the constructor's `shape`.
        TypeError
            If it is not an image at all.
        """
        pixels, mode = _read_pixels(image)
        _check_pixels(pixels)
        axis = _find_channel_axis(pixels, channel_axis)
        values = pixels[..., None] if axis is None else np.moveaxis(pixels, axis, -1)
        grid_shape = values.shape[:-1]
        if self.shape is not None and _as_shape(self.shape, len(grid_shape)) != grid_shape:
            raise ValueError(f"The image has shape {grid_shape}; shape={self.shape!r} is accepted.")
        n_channels = None if axis is None else values.shape[-1]
        self.shape_ = grid_shape
        self.n_features_in_ = len(grid_shape)
        self.image_format_ = ImageFormat(grid_shape, n_channels, axis, pixels.dtype, mode)
        y = _to_values(values.reshape(-1, values.shape[-1]))
        return self.grid(), y[:, 0] if axis is None else y

    def arrays_to_image(
        self, y: ArrayLike, shape: tuple[int, ...] | None = None
    ) -> Image.Image | Array:
        """Put values together to an image of the format that `image_to_arrays` has seen.

        Parameters
        ----------
        y : array-like of shape (n_pixels,) or (n_pixels, n_channels)
            Values of the pixels row by row, in [0, 1] for integer pixels: they are clipped to
            that and rounded. Booleans are what is above 0.5; floats stay as they are.
        shape : tuple of int, default=None
            Number of pixels along each axis; None for that of the image.

        Returns
        -------
        image : PIL.Image.Image or ndarray
            Of the mode and dtype of the image. A file has become a PIL.Image.Image.

        Raises
        ------
        NotFittedError
            If there was no image yet.
        ValueError
            If the values do not fit the shape or the channels, or are not finite.
        """
        if not hasattr(self, "image_format_"):
            raise NotFittedError("The image's format is not known yet: call image_to_arrays first.")
        image_format = self.image_format_
        grid_shape = _shape_or(shape, image_format.grid_shape)
        values = np.asarray(y)
        n_channels = image_format.n_channels or 1
        n_pixels = int(np.prod(grid_shape))
        accepted: list[tuple[int, ...]] = [(n_pixels, n_channels)]
        if image_format.n_channels is None:
            accepted.append((n_pixels,))
        if values.shape not in accepted:
            raise ValueError(
                f"y has shape {values.shape}; an image of shape {grid_shape} takes "
                f"{' or '.join(map(str, accepted))}."
            )
        if values.dtype.kind not in "buif" or not np.isfinite(values).all():
            raise ValueError(
                "y must hold finite real numbers; it has NaN, infinity or another type."
            )
        pixels = _to_pixels(values, image_format.dtype).reshape(*grid_shape, n_channels)
        if image_format.channel_axis is None:
            pixels = pixels[..., 0]
        else:
            pixels = np.moveaxis(pixels, -1, image_format.channel_axis)
        if image_format.mode is None:
            return pixels
        height, width = grid_shape
        packed = np.packbits(pixels, axis=1) if image_format.mode == "1" else pixels
        return Image.frombytes(image_format.mode, (width, height), packed.tobytes())

    def grid(self, shape: tuple[int, ...] | None = None) -> Array:
        """Return the positions of the pixels of a grid that covers the same span.

        Parameters
        ----------
        shape : tuple of int, default=None
            Number of pixels along each axis; None for that of the image.

        Returns
        -------
        X : ndarray of shape (n_pixels, n_axes), float32
            Positions in pixels of the image, row by row. The centre of pixel i of `new` ones is at
            (i + 0.5) size / new - 0.5.
        """
        check_is_fitted(self)
        image_format: ImageFormat | None = getattr(self, "image_format_", None)
        sizes = self.shape_ if image_format is None else image_format.grid_shape
        axes = [
            ((np.arange(new) + 0.5) * (size / new) - 0.5).astype(np.float32)
            for size, new in zip(sizes, _shape_or(shape, sizes), strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags of this estimator."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validate_positions(self, X: ArrayLike, *, reset: bool) -> Array:
        hint = "An image, and no table of pixel positions: convert it with image_to_arrays first."
        if isinstance(X, Image.Image | str | bytes | os.PathLike):
            raise TypeError(f"{type(X).__name__} given. {hint}")
        try:
            positions: Array = validate_data(self, X, dtype=[np.float64, np.float32], reset=reset)
        except ValueError as error:
            if np.ndim(X) > 2 or "features, but" in str(error):
                raise ValueError(f"{error} If it is an image: {hint}") from error
            raise
        return positions


def _as_shape(shape: Any, n_axes: int) -> tuple[int, ...]:
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    if len(sizes) != n_axes or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise ValueError(f"shape must be {n_axes} integers of at least 1; {shape!r} given.")
    return tuple(int(size) for size in sizes)


def _shape_or(shape: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    return default if shape is None else _as_shape(shape, len(default))


def _read_pixels(image: ImageSource) -> tuple[Array, str | None]:
    """Return an image's array, and its mode where Pillow has read it."""
    if isinstance(image, np.ndarray):
        return image, None
    if not (isinstance(image, Image.Image | str | os.PathLike) or hasattr(image, "read")):
        raise TypeError(
            f"{type(image).__name__} given; accepted are a PIL image, an array, a path and an "
            "open binary file."
        )
    try:
        opened = image if isinstance(image, Image.Image) else Image.open(image)
        opened.load()
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{error} If you trust the file, raise PIL.Image.MAX_IMAGE_PIXELS, or set it to None."
        ) from error
    except Exception as error:  # Pillow's plugins raise what their parsers happen to run into
        raise ValueError(f"Not an image that Pillow can read: {error}") from error
    if opened.mode not in PIL_MODES:
        raise ValueError(
            f"An image of mode {opened.mode!r} given; accepted are {', '.join(PIL_MODES)}. Convert "
            'it first, for instance with image.convert("RGB").'
        )
    return np.asarray(opened), opened.mode


def _check_pixels(pixels: Array) -> None:
    if pixels.dtype.name not in VALUE_DTYPES:
        raise ValueError(
            f"Pixels of dtype {pixels.dtype} given; accepted are {', '.join(VALUE_DTYPES)}."
        )
    if pixels.ndim == 0 or pixels.size == 0:
        raise ValueError(
            f"An empty image of shape {pixels.shape} given; at least one pixel needed."
        )
    if not np.isfinite(pixels).all():
        raise ValueError("The image holds NaN or infinite pixels; finite ones are accepted.")


def _find_channel_axis(pixels: Array, channel_axis: int | str | None) -> int | None:
    if channel_axis == "auto":
        return pixels.ndim - 1 if pixels.ndim > 2 and pixels.shape[-1] <= MAX_CHANNELS else None
    if channel_axis is None:
        return None
    if channel_axis not in range(-pixels.ndim, pixels.ndim) or pixels.ndim < 2:
        raise ValueError(
            f"channel_axis={channel_axis!r} given for an array of shape {pixels.shape}; accepted "
            "are 'auto', None, and one of its axes if another remains."
        )
    return int(channel_axis) % pixels.ndim


def _to_values(pixels: Array) -> Array:
    values = pixels.astype(VALUE_DTYPES[pixels.dtype.name])
    return (
        values / values.dtype.type(np.iinfo(pixels.dtype).max)
        if pixels.dtype.kind == "u"
        else values
    )


def _to_pixels(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind == "f":
        return values.astype(dtype)
    levels = np.float64(np.iinfo(dtype).max)
    return np.rint(values.clip(0, 1) * levels).astype(dtype)
