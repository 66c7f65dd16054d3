"""ImageRegressor: an image in, a function fitted to it, an image of any size out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from numbers import Integral
from os import PathLike
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from PIL import Image
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skinr.checkpoint import refuse_checkpoints
from skinr.grids import Grid, Region, does_not_fit, to_coordinates
from skinr.image import ImageCoordinateTransformer
from skinr.memory import cached
from skinr.pictures import read_picture
from skinr.pixels import (
    ImageFormat,
    ImageSource,
    clip_values,
    make_image,
    read_image,
    refuse_masks,
    to_pixels,
    to_values,
)
from skinr.regressor import SirenRegressor
from skinr.tile_fits import fit_pixels, fit_tile, fit_whole_tile
from skinr.tiles import Tiling

Array = NDArray[Any]

BLOCK_SIZE = 65_536
"""Pixels that are predicted at a time."""


class ImageRegressor(BaseEstimator):
    r"""Fit a regressor to the pixels of an image; predict images of any size from it.

    A meta-estimator as :class:`sklearn.compose.TransformedTargetRegressor` is. Pixel positions
    become coordinates in [-1, 1] (:class:`ImageCoordinateTransformer`), pixels become values, the
    regressor learns one from the other, and its predictions become an image of the same mode and
    dtype. Sounds, volumes and videos are images of one and three axes.

    Parameters
    ----------
    regressor : estimator, default=None
        Any regressor that learns values from coordinates, of as many outputs as the image has
        channels; also a Pipeline, or a GridSearchCV, which then splits the pixels. It is cloned.
        None takes `SirenRegressor()`, whose frequency follows the number of pixels in use.

    channel_axis : int, None or "auto", default="auto"
        The axis of an array that holds the values of one pixel; None where there is none. "auto"
        takes the last axis for channels where there are three axes or more and it has at most 4
        entries. What Pillow reads needs no hint.

    tile_size : int, tuple of int or None, default=None
        Cuts the image into tiles of at most so many pixels along all or along each of the axes,
        each with a regressor of its own. They reach an eighth of that further in all, rounded up on
        each side, and blend there without seams. Each needs a pixel in use. None makes one tile.
        What is fitted at a time is one tile, so that the memory that a large image takes is little
        more than its pixels.

    n_jobs : int or None, default=None
        Tiles that are fitted in parallel, through joblib, whose backends carry them to other
        machines. None means 1 unless in a `joblib.parallel_config` context, -1 all cores.

    memory : str, path-like, object with the interface of joblib.Memory, or None, default=None
        A folder that keeps every tile once it is fitted; one that `max_time` has ended early is
        fitted again. A fit of the same image with the same parameters, started again after its end
        or after a kill at any moment, takes from there what is done. It is pickles, so let nobody
        else write to it; delete it when the fit is done.

    verbose : int, default=0
        How much joblib says about the tiles that are done.

    Attributes
    ----------
    transformer_ : ImageCoordinateTransformer
        Knows the shape, channels, dtype and mode of the image.

    regressor_ : estimator
        Fitted to coordinates and values; only there where the image is one tile.

    regressors_ : list of estimator
        The regressor of every tile, row by row, each fitted to coordinates in [-1, 1] of its tile.

    See Also
    --------
    ImageCoordinateTransformer : The step between positions and coordinates, for your own Pipeline.
    SirenRegressor : The regressor that is taken where none is given.

    Notes
    -----
    scikit-learn's `check_estimator` does not apply: X is one image here and not a table of
    samples, and `predict` takes the size of the image that is wanted. `clone`, `get_params`,
    `set_params`, pickling and metadata routing work as everywhere. A search goes inside, as in
    `ImageRegressor(GridSearchCV(...))`: around it, `GridSearchCV` and `cross_val_score` would cut
    the image into bands of rows, and score each fit by a picture stretched over another band.

    `SirenRegressor()` smooths pictures of up to 500 values, as it does any table of few rows; with
    `solver="adam"` it learns them pixel by pixel.

    A plan for a gigapixel on a cluster: ``np.load(path, mmap_mode="r")`` as the image,
    ``tile_size=128``, ``memory`` on a disk that all share, and
    ``joblib.parallel_config(backend="dask")`` around `fit`, as :class:`SirenSearchCV` describes.
    In colour these are 61,000 tiles. Each is sent its pixels, 62 kB, and sends back a network of
    0.2 MB. With the default network 500 updates take 3 s of a core of today, 54 core-hours in all,
    half an hour on 100 cores. This process reads the 3 GB once, holds a mask of 1 GB and the
    networks, 12 GB, and takes some milliseconds for each tile to hand it out and to take it in: it
    is what the rest waits for from about 500 cores on, and its memory is where larger images end.
    `predict` with `region` evaluates no tiles but those under it, so that processes that have the
    model can each write their part of an enlargement.

    Examples
    --------
    >>> import numpy as np
    >>> from skinr import ImageRegressor, SirenRegressor
    >>> rows, columns = np.mgrid[:24, :32]
    >>> image = (128 + 100 * np.sin(rows / 4) * np.cos(columns / 5)).astype(np.uint8)
    >>> model = ImageRegressor(SirenRegressor((64, 64), max_iter=300, random_state=0)).fit(image)
    >>> bool(model.score(image) > 40)
    True
    >>> larger = model.predict(scale=4)
    >>> larger.shape, larger.dtype
    ((96, 128), dtype('uint8'))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "regressor": [HasMethods(["fit"]), None],
        "channel_axis": [StrOptions({"auto"}), Integral, None],
        "tile_size": [Interval(Integral, 1, None, closed="left"), "array-like", None],
        "n_jobs": [Integral, None],
        "memory": [str, PathLike, HasMethods(["cache"]), None],
        "verbose": ["verbose"],
    }

    # What these take are no metadata that another estimator could route here.
    __metadata_request__fit: ClassVar = dict.fromkeys(("image", "mask", "sample_weight"), UNUSED)
    __metadata_request__predict: ClassVar = dict.fromkeys(
        ("shape", "scale", "region", "dtype"), UNUSED
    )
    __metadata_request__score: ClassVar = dict.fromkeys(("image", "mask"), UNUSED)

    def __init__(
        self,
        regressor: Any = None,
        *,
        channel_axis: int | str | None = "auto",
        tile_size: int | tuple[int, ...] | None = None,
        n_jobs: int | None = None,
        memory: Any = None,
        verbose: int = 0,
    ) -> None:
        self.regressor = regressor
        self.channel_axis = channel_axis
        self.tile_size = tile_size
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose

    @property
    def regressor_(self) -> Any:
        """The fitted regressor of an image of one tile."""
        if len(getattr(self, "regressors_", ())) != 1:
            raise AttributeError("There is a regressor_ after the fit of an image of one tile.")
        return self.regressors_[0]

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        image: ImageSource,
        mask: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> ImageRegressor:
        """Fit the regressor to the pixels of an image.

        Parameters
        ----------
        image : PIL.Image.Image, ndarray, path, or binary file
            As :meth:`ImageCoordinateTransformer.image_to_arrays` takes it. A pixel that is NaN in
            one of its channels is missing.
        mask : array-like of bool of the shape of the grid, optional
            True where a pixel is used, one in each tile at least. The others are left out, and
            filled in by `predict`. A picture is turned upright as its EXIF orientation says, as
            `image` is.
        sample_weight : array-like of the shape of the grid, optional
            How much each pixel counts; in each tile one at least has to.
        **fit_params : array-like of the shape of the grid
            Further metadata of the pixels, such as `groups`, or `siren__sample_weight` for a step
            of a Pipeline. They go to the regressor's `fit`, one row for each pixel in use; with
            metadata routing enabled as it requests them, and so does `sample_weight`.

        Returns
        -------
        self : ImageRegressor

        Raises
        ------
        ValueError
            If the image can't be read, or mask or metadata are of another shape than the grid, or
            leave no pixel; if tiles would share a `checkpoint`; if `memory` can't be a folder;
            whatever the regressor raises.
        TypeError
            If it is a masked array, or not an image at all.
        OSError
            If the path is not that of a file that can be opened.
        """
        transformer = ImageCoordinateTransformer()
        pixels = transformer._take_apart(image, self.channel_axis)
        known = _known_pixels(pixels, mask)
        metadata = self._route({"sample_weight": sample_weight, **fit_params}, known.shape)
        tiling = Tiling.of(known.shape, self.tile_size)
        regressor = self._make_regressor()
        _check_tiles(tiling, known, metadata, regressor)
        if pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
        regressors = self._fit_tiles(regressor, tiling, pixels, known, metadata)
        self.transformer_, self.regressors_, self._tiling = transformer, regressors, tiling
        return self

    def predict(
        self,
        shape: tuple[int, ...] | None = None,
        scale: float | tuple[float, ...] | None = None,
        region: Region | None = None,
        dtype: DTypeLike | None = None,
    ) -> Image.Image | Array:
        """Evaluate the function on a grid of pixels.

        Nothing but the pixels asked for is computed, block by block, so that the image itself is
        all that takes memory.

        Parameters
        ----------
        shape : tuple of int, default=None
            Number of pixels along each axis.
        scale : float or tuple of float, default=None
            Pixels for one of the fitted image, along all axes or along each; 1 where neither this
            nor `shape` is given. The number of pixels is rounded, the span is exact. Each is the
            function's value at its centre: to reduce an image, take means of larger predictions.
        region : sequence of (start, stop), default=None
            The part of the fitted image to cover, in its pixels along each axis, as in slices;
            also fractions of pixels. None covers the whole.
        dtype : float dtype, default=None
            None returns an image of the fitted one's dtype and mode, rounded and clipped. A float
            dtype returns an array of values as the regressor gives them, where 1 is the largest
            integer of the image's dtype, clipped to the finite ones of the dtype.

        Returns
        -------
        image : PIL.Image.Image or ndarray

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            If shape, scale, region or dtype are unusable, if the image would not fit in memory, or
            if the regressor predicts NaN or infinity.
        """
        check_is_fitted(self)
        image_format = self.transformer_.image_format_
        grid = Grid.over(image_format.grid_shape, shape, scale, region)
        try:
            is_accepted = dtype is None or np.dtype(dtype).kind == "f"
        except TypeError:
            is_accepted = False
        if not is_accepted:
            raise ValueError(f"dtype must be None or a float dtype; {dtype!r} given.")
        pixels = _allocate(
            (*grid.shape, image_format.n_channels or 1),
            image_format.dtype if dtype is None else np.dtype(dtype),
        )
        for block, values in self._predict_blocks(grid):
            pixels[block] = to_pixels(values, pixels.dtype)
        return make_image(pixels, image_format._replace(picture=None) if dtype else image_format)

    def score(self, image: ImageSource, mask: ArrayLike | None = None) -> float:
        r"""Return the peak signal-to-noise ratio of the prediction against an image.

        :math:`10 \log_{10}(p^2 / \mathrm{MSE})`, over the pixels in use and all channels, with
        predictions clipped to what the fitted image's dtype holds, and not rounded. The peak p is
        the largest value of unsigned integers and of bool, and otherwise the range of the image's
        values, or 1 where they are all the same.

        Parameters
        ----------
        image : PIL.Image.Image, ndarray, path, or binary file
            As in :meth:`fit`. One of another size is compared with a prediction of its shape.
        mask : array-like of bool of the shape of the image's grid, optional
            True where a pixel counts; NaN pixels never do.

        Returns
        -------
        psnr : float
            In dB; inf for equal values.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            If the image can't be read, or has another number of axes or channels than the fitted
            one; if both are pictures whose modes differ once palettes are colours, transparent
            colours alpha and all of 1, L and I;16 greys; if the mask is unusable; or if the
            regressor predicts NaN or infinite values.
        TypeError
            If it is a masked array, or not an image at all.
        OSError
            If the path is not that of a file that can be opened.
        """
        check_is_fitted(self)
        pixels, image_format = read_image(image, self.channel_axis)
        fitted = self.transformer_.image_format_
        _check_same_kind(image_format, fitted)
        known = _known_pixels(pixels, mask)
        if not known.any():
            raise ValueError("No pixel is left to score: all of them are NaN, or False in `mask`.")
        half_peak = 0.5  # halves, as the range of floats can be twice the largest one
        if pixels.dtype.kind in "if":
            half_peak = float(np.ptp(to_values(pixels[known]) / 2)) or 0.5
        squares = 0.0
        for block, values in self._predict_blocks(Grid.over(fitted.grid_shape, known.shape)):
            half = clip_values(values, fitted.dtype) / 2 - to_values(pixels[block]) / 2
            squares += float(np.square(half[known[block]] / half_peak).sum())
        with np.errstate(divide="ignore"):
            return float(-10 * np.log10(squares / (known.sum() * pixels.shape[-1])))

    def get_metadata_routing(self) -> MetadataRouter:
        """Return how metadata go to the regressor.

        Returns
        -------
        routing : MetadataRouter
        """
        return MetadataRouter(owner=self).add(
            regressor=self._make_regressor(),
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )

    def _make_regressor(self) -> Any:
        return SirenRegressor() if self.regressor is None else clone(self.regressor)

    def _route(self, given: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Array]:
        """Return the metadata that the regressor gets, each of the shape of the grid."""
        metadata = {
            name: _as_grid(name, value, shape) for name, value in given.items() if value is not None
        }
        if not _routing_enabled():
            return metadata
        routed: dict[str, Array] = process_routing(self, "fit", **metadata).regressor.fit
        return routed

    def _fit_tiles(
        self,
        regressor: Any,
        tiling: Tiling,
        pixels: Array,
        known: Array,
        metadata: dict[str, Array],
    ) -> list[Any]:
        """Return a fitted regressor for each tile."""
        is_one_tile = len(tiling.tiles) == 1
        fit: Any = partial(fit_tile, cached(fit_whole_tile, self.memory))
        if is_one_tile and self.memory is None:
            fit = fit_pixels
        n_jobs = 1 if is_one_tile else self.n_jobs
        regressors: list[Any] = Parallel(n_jobs=n_jobs, verbose=self.verbose, max_nbytes=None)(
            delayed(fit)(
                regressor,
                _cut_out(pixels, tile),
                _cut_out(known, tile),
                {name: _cut_out(value, tile) for name, value in metadata.items()},
            )
            for tile in tiling.tiles
        )
        return regressors

    def _predict_blocks(self, grid: Grid) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """Yield blocks of a grid, and their values of shape (*block_shape, n_channels)."""
        n_channels = self.transformer_.image_format_.n_channels or 1
        tile_shapes = [
            tuple(part.stop - part.start for part in tile) for tile in self._tiling.tiles
        ]
        for block in grid.blocks(BLOCK_SIZE):
            part_of_grid = grid.take(block)
            values = np.zeros((*part_of_grid.shape, n_channels))
            for part in self._tiling.parts(part_of_grid):
                coordinates = to_coordinates(part.grid.positions(), tile_shapes[part.tile])
                predicted = self.regressors_[part.tile].predict(coordinates)
                values[part.place] += part.weight[..., None] * predicted.reshape(
                    *part.grid.shape, n_channels
                )
            if not np.isfinite(values).all():
                raise ValueError(f"{self._make_regressor()!r} predicts NaN or infinite values.")
            yield block, values


def _cut_out(pixels: Array, tile: tuple[slice, ...]) -> Array:
    """Copy a tile, so that `memory` knows it again however the image lay in memory."""
    return np.array(pixels[tile], order="C")


def _check_tiles(
    tiling: Tiling, known: NDArray[np.bool_], metadata: dict[str, Array], regressor: Any
) -> None:
    if len(tiling.tiles) > 1:
        refuse_checkpoints(regressor.get_params().items())
    weights = [value for name, value in metadata.items() if name.endswith("sample_weight")]
    for tile in tiling.tiles:
        if not np.all([part[tile] for part in (known, *weights)], axis=0).any():
            bounds = ", ".join(f"{part.start}:{part.stop}" for part in tile)
            raise ValueError(
                f"No pixel is left to fit in the tile [{bounds}]: all of them are NaN, False in "
                "`mask`, or of weight 0."
            )


def _check_same_kind(image_format: ImageFormat, fitted: ImageFormat) -> None:
    """Raise a ValueError where an image can't be compared with the fitted one."""
    picture, other = image_format.picture, fitted.picture
    if picture and other and picture.read_as != other.read_as:
        raise ValueError(
            f"The image is of mode {picture.mode!r}, read as {picture.read_as}; the fitted one of "
            f"mode {other.mode!r}, read as {other.read_as}."
        )
    if (len(image_format.grid_shape), image_format.n_channels) != (
        len(fitted.grid_shape),
        fitted.n_channels,
    ):
        raise ValueError(
            f"The image has {_describe(image_format)}; the fitted one has {_describe(fitted)}."
        )


def _describe(image_format: ImageFormat) -> str:
    channels = f"{image_format.n_channels or 'no'} channels"
    return f"a grid of shape {image_format.grid_shape} and {channels}"


def _known_pixels(pixels: Array, mask: ArrayLike | None) -> NDArray[np.bool_]:
    """Return where pixels (..., n_channels) are to be used."""
    known = np.ones(pixels.shape[:-1], bool)
    if pixels.dtype.kind == "f":
        known &= ~np.isnan(pixels).any(axis=-1)
    if mask is not None:
        used = _as_grid("mask", mask, known.shape)
        if used.dtype != bool:
            raise ValueError(f"mask must hold booleans; it has dtype {used.dtype}.")
        known &= used
    return known


def _as_grid(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    refuse_masks(name, value)
    array = read_picture(value)[0] if isinstance(value, Image.Image) else np.asarray(value)
    if array.shape != shape:
        raise ValueError(
            f"{name} has shape {array.shape}; one entry for each pixel of the image, "
            f"{shape}, is accepted."
        )
    return array


def _allocate(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise does_not_fit(shape[:-1], error) from error
