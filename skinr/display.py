"""The figures, as scikit-learn's Display classes; matplotlib is imported when one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skinr.image_regressor import ImageRegressor
from skinr.pictures import make_picture
from skinr.pixels import ImageFormat, ImageSource, make_image, read_image, to_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

Array = NDArray[Any]


class ReconstructionDisplay:
    """An image, what a regressor has made of it, and the error.

    Parameters
    ----------
    image, reconstruction : ndarray of shape (height, width), (height, width, 3) or \
            (height, width, 4)
        As matplotlib's `imshow` takes them.
    error : ndarray of shape (height, width)
        Mean absolute difference of the values over the channels.
    psnr : float
        In dB.

    Attributes
    ----------
    axes_ : ndarray of shape (3,) of matplotlib.axes.Axes
    images_ : list of matplotlib.image.AxesImage
    figure_ : matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skinr import ImageRegressor, ReconstructionDisplay, SirenRegressor
    >>> image = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8)
    >>> model = ImageRegressor(SirenRegressor(max_iter=50)).fit(image)
    >>> display = ReconstructionDisplay.from_estimator(model, image)
    """

    def __init__(self, image: Array, reconstruction: Array, error: Array, psnr: float) -> None:
        self.image = image
        self.reconstruction = reconstruction
        self.error = error
        self.psnr = psnr

    @classmethod
    def from_estimator(
        cls, estimator: ImageRegressor, image: ImageSource, *, ax: Any = None
    ) -> Self:
        """Compare an image with the prediction of its size, and draw both.

        Parameters
        ----------
        estimator : ImageRegressor
            Fitted.
        image : PIL.Image.Image, ndarray, path, or binary file
            Of two axes, and one, three or four channels where Pillow does not know what they mean.
            Colours beyond [0, 1] are drawn scaled to it, by the range of this image.
        ax : matplotlib Axes or array-like of 3 of them, default=None
            As :meth:`plot` takes it.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            If the image can't be read or drawn, or is unlike the fitted one; or for an `ax` that
            :meth:`plot` refuses.
        TypeError
            If it is a masked array, or not an image at all, or if the estimator is another one.
        OSError
            If the path is not that of a file that can be opened.
        ImportError
            Without matplotlib; `pip install 'skinr[figures]'` brings it.
        """
        if not isinstance(estimator, ImageRegressor):
            raise TypeError(
                f"estimator must be an ImageRegressor; {type(estimator).__name__} given."
            )
        pixels, image_format = read_image(image, estimator.channel_axis)
        source = make_image(pixels, image_format)
        psnr = estimator.score(source)
        predicted, predicted_format = read_image(
            estimator.predict(image_format.grid_shape), estimator.channel_axis
        )
        error = np.abs(to_values(pixels) - to_values(predicted)).mean(axis=-1)
        return cls(
            _drawable(pixels, image_format, pixels),
            _drawable(predicted, predicted_format, pixels),
            error,
            psnr,
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the three side by side.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of 3 of them, default=None
            Where to draw. A single one is divided; None makes a figure.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        ValueError
            If `ax` is another number of axes than 1 or 3, or one to divide that is not made by
            matplotlib's `subplots`.
        ImportError
            Without matplotlib.
        """
        self.figure_: Figure
        self.figure_, axes = _grid_of_axes(ax, 1, 3)
        self.axes_ = axes[0]
        limits = {"vmin": np.nanmin(self.image), "vmax": np.nanmax(self.image)}
        self.images_: list[AxesImage] = [
            self.axes_[0].imshow(self.image, cmap="gray", **limits),
            self.axes_[1].imshow(self.reconstruction, cmap="gray", **limits),
            self.axes_[2].imshow(self.error, cmap="magma"),
        ]
        self.figure_.colorbar(self.images_[2], ax=self.axes_[2])
        titles = ("image", f"reconstruction, {self.psnr:.1f} dB", "mean absolute error")
        for each, title in zip(self.axes_, titles, strict=True):
            each.set_title(title)
            each.set_axis_off()
        return self


class LossCurveDisplay:
    """The training loss over the updates.

    Parameters
    ----------
    loss_curve : ndarray of shape (n_iter,)

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    line_ : matplotlib.lines.Line2D
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, loss_curve: Array) -> None:
        self.loss_curve = loss_curve

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the loss of a fit.

        Parameters
        ----------
        estimator : estimator
            Fitted, with a `loss_curve_`: a SirenRegressor or an MLPRegressor; also within a
            Pipeline, a search, or an ImageRegressor of one tile.
        ax : matplotlib.axes.Axes, default=None
        **kwargs
            For matplotlib's `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            Before a fit.
        AttributeError
            If it has no `loss_curve_`, or is an ImageRegressor of several tiles.
        ValueError
            If `ax` is several axes.
        ImportError
            Without matplotlib.
        """
        inner, _ = _unwrap(estimator, None)
        return cls(np.asarray(inner.loss_curve_)).plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the curve, on a logarithmic scale.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            For matplotlib's `plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ValueError
            If `ax` is several axes.
        ImportError
            Without matplotlib.
        """
        self.figure_: Figure
        self.figure_, axes = _grid_of_axes(ax, 1, 1)
        self.ax_: Axes = axes[0, 0]
        self.line_: Line2D
        (self.line_,) = self.ax_.semilogy(self.loss_curve, **kwargs)
        self.ax_.set(xlabel="update", ylabel="loss")
        return self


class ActivationDisplay:
    r"""How the pre-activations and activations of each layer are distributed.

    With the paper's initialisation the pre-activations of hidden layers begin as normal with
    variance 1, and the activations as arcsine on [-1, 1], whatever the depth ([1]_, section 3.2).

    Parameters
    ----------
    layers : list of (pre_activation, activation), each ndarray of shape (n_samples, width)
        As :meth:`SirenRegressor.layer_activations` returns them.

    Attributes
    ----------
    axes_ : ndarray of shape (2, n_layers) of matplotlib.axes.Axes
        Pre-activations above, activations below.
    histograms_ : ndarray of shape (2, n_layers) of matplotlib.patches.StepPatch
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Sitzmann, Martel, Bergman, Lindell, Wetzstein. Implicit Neural Representations with
       Periodic Activation Functions. NeurIPS 2020. arXiv:2006.09661.
    """

    def __init__(self, layers: list[tuple[Array, Array]]) -> None:
        self.layers = layers

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, *, ax: Any = None, **kwargs: Any) -> Self:
        """Evaluate the layers of a fitted network at some positions, and draw their histograms.

        Parameters
        ----------
        estimator : SirenRegressor
            Fitted; also within a Pipeline, a search, or an ImageRegressor of one tile.
        X : array-like of shape (n_samples, n_features)
            As the estimator takes it; positions in pixels for an ImageRegressor.
        ax : matplotlib Axes or array-like of 2 x n_layers of them, default=None
            As :meth:`plot` takes it.
        **kwargs
            For matplotlib's `stairs`.

        Returns
        -------
        display : ActivationDisplay

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            For positions that the estimator's `predict` would refuse, or an `ax` that :meth:`plot`
            refuses.
        TypeError
            If X is a picture of Pillow's or a path, where the estimator is an ImageRegressor.
        AttributeError
            If it has no `layer_activations`, or is an ImageRegressor of several tiles.
        ImportError
            Without matplotlib.
        """
        inner, X = _unwrap(estimator, X)
        return cls(inner.layer_activations(X)).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the histograms.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of 2 x n_layers of them, default=None
            Where to draw. A single one is divided; None makes a figure.
        **kwargs
            For matplotlib's `stairs`.

        Returns
        -------
        display : ActivationDisplay

        Raises
        ------
        ValueError
            If `ax` is another number of axes than 1 or 2 x n_layers, or one to divide that is not
            made by matplotlib's `subplots`.
        ImportError
            Without matplotlib.
        """
        self.figure_: Figure
        self.figure_, self.axes_ = _grid_of_axes(ax, 2, len(self.layers))
        self.histograms_ = np.empty((2, len(self.layers)), dtype=object)
        for column, layer in enumerate(self.layers):
            for row, values in enumerate(layer):
                density, edges = np.histogram(values.astype(np.float64), bins=60, density=True)
                drawn: StepPatch = self.axes_[row, column].stairs(
                    density, edges, **{"fill": True, **kwargs}
                )
                self.histograms_[row, column] = drawn
            self.axes_[0, column].set_title(f"layer {column + 1}")
        self.axes_[0, 0].set_ylabel("pre-activations")
        self.axes_[1, 0].set_ylabel("activations")
        return self


def _grid_of_axes(ax: Any, n_rows: int, n_columns: int) -> tuple[Any, Array]:
    """Return a figure and axes (n_rows, n_columns): new ones, those given, or one divided."""
    try:
        from matplotlib.axes import Axes
        from matplotlib.pyplot import subplots
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib: pip install 'skinr[figures]' brings it."
        ) from error
    if ax is None:
        size = (4.5 * n_columns, 4.0) if n_rows == 1 else (2.6 * n_columns, 2.4 * n_rows)
        return subplots(n_rows, n_columns, squeeze=False, figsize=size, layout="constrained")
    n_axes = n_rows * n_columns
    if isinstance(ax, Axes) and n_axes > 1:
        bounds = ax.get_subplotspec()
        if bounds is None:
            raise ValueError("ax must be made by matplotlib's subplots to be divided.")
        ax.set_axis_off()
        return ax.figure, bounds.subgridspec(n_rows, n_columns).subplots(squeeze=False)
    axes = np.asarray(ax, dtype=object)
    if axes.size != n_axes or not all(isinstance(one, Axes) for one in axes.flat):
        accepted = "one of matplotlib's Axes" + (f", or {n_axes} of them" if n_axes > 1 else "")
        raise ValueError(f"ax must be None or {accepted}; {ax!r} given.")
    return axes.flat[0].figure, axes.reshape(n_rows, n_columns)


def _unwrap(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator within pipelines and meta-estimators, and X as it gets it."""
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        if X is not None and len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return _unwrap(estimator[-1], X)
    if isinstance(estimator, ImageRegressor):
        X = X if X is None else estimator.transformer_.transform(X)
        return _unwrap(estimator.regressor_, X)
    if hasattr(estimator, "best_estimator_"):
        return _unwrap(estimator.best_estimator_, X)
    return estimator, X


def _drawable(pixels: Array, image_format: ImageFormat, source: Array) -> Array:
    """Return pixels as matplotlib's `imshow` takes them, scaled as those of `source` need it."""
    picture = image_format.picture
    if picture and pixels.shape[-1] > 1:
        drawn = make_picture(pixels, picture)
        if drawn.mode == "La":  # Pillow converts it to LA alone
            drawn = drawn.convert("LA")
        return np.asarray(drawn.convert("RGBA" if drawn.has_transparency_data else "RGB"))
    n_channels = pixels.shape[-1]
    if pixels.ndim != 3 or n_channels not in (1, 3, 4):
        raise ValueError(
            f"An image of shape {image_format.grid_shape} with {n_channels} channels given; two "
            "axes, and 1, 3 or 4 channels can be drawn."
        )
    values = to_values(pixels)
    if n_channels == 1:
        return values[..., 0]
    colours = to_values(source[..., :3])
    low, high = min(0.0, float(np.nanmin(colours))), max(1.0, float(np.nanmax(colours)))
    values[..., :3] = (values[..., :3] - low) / (high - low)
    return values.clip(0, 1)
