"""SirenRegressor: scikit-learn's contract around a network and its training."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar, Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.utils import Tags, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skinr.derivatives import TORCH_DTYPES, DerivativesMixin
from skinr.ensemble import mean_of_members, members_of, to_network, to_stack
from skinr.error_bars import ErrorBarsMixin
from skinr.features import features_kept_on_error
from skinr.history import History
from skinr.interruption import Interruption, signals_postponed
from skinr.losses import LOSSES
from skinr.model_files import FittedState
from skinr.network import SirenStack
from skinr.optimizers import AdamState
from skinr.passes import evaluate
from skinr.persistence import PersistenceMixin
from skinr.problem import Problem, prepare
from skinr.rows import to_tensor
from skinr.scaling import CHUNK_SIZE
from skinr.solve import Solution, go_through, solve, warn_of

LARGEST = 1e30
"""Value of a parameter that float32 can compute with."""

MOST_UPDATES = 10**8
"""Most updates of a fit, which keeps a loss and a learning rate of each."""

POSITIVE = Interval(Real, 1 / LARGEST, LARGEST, closed="both")

Values = NDArray[np.floating[Any]]


class SirenRegressor(
    PersistenceMixin, DerivativesMixin, ErrorBarsMixin, RegressorMixin, BaseEstimator
):
    r"""SIREN regressor: a continuous function of a few coordinates, fitted to a table.

    A multilayer perceptron with the activation :math:`\sin(\omega (W x + b))` [1]_, trained to
    the rows of a table, the samples of a signal or the pixels of an image. It can be evaluated
    anywhere, and is smooth.

    Parameters
    ----------
    hidden_layer_sizes : int, sequence of int or "auto", default="auto"
        Width of each hidden layer. "auto" is (96, 96, 96) where "lm" fits 50 or more rows (see
        `solver`) without derivatives, and (128, 128, 128, 128) elsewhere.

    omega_0 : float or "auto", default="auto"
        Frequency factor of the first layer, the parameter that matters most: about the highest
        angular frequency, in radians per half of the range of a feature, that the untrained network
        holds. With too high a one the function oscillates between the rows, with too low a one it
        never learns the detail. "auto" chooses it by the training data:

        - Where "lm" fits the rows, or a few of them first (see `solver`), networks of 0.0125 to 24
          compete (1 to 24 for derivatives), but none above 8 times what is taken elsewhere, and the
          evidence of the rows and their leave-one-out errors decide. For a single feature a sixth
          of the edge of the spectrum joins them, if that is higher. If the winner misses more of
          its own rows than the initial weights of another were to miss of unseen ones, that one is
          taken: what looked like noise are ripples. If the winner misses more than the noise that
          neighbouring rows of a single feature can have [5]_, it is chosen anew with no more than
          that. If it fits its own rows but misses something of held-out ones, lower frequencies are
          tried with a `hidden_omega_0` of 0.5, and the error on held-out rows decides.
        - Elsewhere it is (n_samples / 75) ** (1 / n_features) within [1.5, 30], of different rows
          and of features that vary and are not slow: about 30 for a photograph, at least 4 for a
          picture; or for a single feature a twelfth of the edge of the spectrum, if that is higher.
          Functions of several variables that oscillate as fast as the rows can show want more,
          noisy ones less. "adam" takes up to 1.45 times as much where it sees each pixel of a grid
          fewer than 30 times, since a short fit learns no high frequencies unless it starts with
          them.

        The edge of the spectrum is the angular frequency below which 97% of the power of the
        values lies, noise excluded. Features along which values change over three times more
        slowly than along another are slow, where the evidence of Gaussian processes with a length
        for each of up to 20 features [4]_ is plain: along them the network begins with frequencies
        that are as much lower, down to 0.03 of `omega_0`. Pictures, streams and fits to derivatives
        have no slow features, nor has `normalize_X=False`.

    hidden_omega_0 : float or None, default=None
        Frequency factor of the other sine layers. It cancels in their initial weights, and
        multiplies the speed at which they learn. None takes `omega_0`, except where "auto" took
        that from the edge of the spectrum (3, and up to 8 for mini-batches of over 3000 rows) or
        tried a lower one (0.5).

    weight_scale : float or "auto", default="auto"
        Multiplies the initial weights of all layers but the last [2]_. Values up to 2 reach the
        training rows faster, and leave more oscillation between them; 1 is the paper's [1]_. "auto"
        is 1.25; 1.85 for pixels of a grid that outnumber the parameters of the network, where a fit
        sees each of them at least 8 times; and up to 1.5 where `omega_0="auto"` takes more for the
        sake of a short fit.

    output_activation : {"identity", "sine"}, default="identity"
        What the last layer does after its affine map. A sine bounds the normalised prediction to
        [-1, 1].

    first_layer_init : {"paper", "lecture"}, default="paper"
        The first layer's weights are uniform in ±1/n ("paper", [1]_ section 3.2) or in ±sqrt(1/n)
        ("lecture"), n being the number of features.

    solver : {"auto", "lm", "adam", "soap"}, default="auto"
        "lm" is for small tables: Levenberg and Marquardt's steps over all rows in float64. It keeps
        the weights near their initial values, as strongly as the noise that it finds in the rows
        calls for, and stops by itself. One network takes up to five rows for exact. Its cost grows
        with the cube of the number of values and derivatives, of which it takes 20,000 at most, and
        no derivatives for an ensemble. It takes no `early_stopping`, ignores `alpha`, and knows no
        losses but "squared_error" and, for the values of one network, "huber".
        "adam" updates on mini-batches in float32, for any table. "soap" is Adam in the eigenbasis
        of the gradients' covariances [3]_: it fills in better between the rows, and gets much
        further in several thousand updates, but costs more where layers are wide and batches
        small.

        "auto" is "lm" for up to 2048 numbers that are not the pixels of a picture, or 500 if
        derivatives are among them, or for 500 rows if one variable oscillates more than 100 times
        in them, as long as `alpha` is 0 and nothing rules "lm" out. It is "soap" for values from
        2048 rows and 1000 updates on, if a batch has 16 rows or more for each unit of the widest
        layer, inputs and outputs among them. It is "adam" elsewhere.

        Before "soap", "auto" fits some of the rows by "lm", drawn at random: 300 numbers, then
        2000. If the residuals of neighbouring rows are correlated, these have missed structure,
        and the network is drawn anew; the more rows there are, the less correlation is tolerated.
        Otherwise "soap" goes on from there, and holds the weights near their initial values as
        "lm" did, at a rate that is multiplied by the square root of n_samples / 700,000 if there
        are fewer. Pictures do without this beginning, and so do values of one variable that
        oscillate more than 100 times, tables of more than 2**24 numbers, and fits in which `alpha`
        or `omega_0` are not the defaults, or `loss` is "absolute_error".

        Rows on a grid are the pixels of a picture, unless it has fewer than 15 nodes along every
        axis, or second differences of the values grow with the spacing of the nodes as those of a
        smooth function do, or not at all, as those of noise.

    learning_rate : {"one_cycle", "constant"}, default="one_cycle"
        For "adam" and "soap", like all that concerns rates and batches: how the rate changes over
        the updates. "one_cycle" warms up over the first tenth and anneals to 0 along a cosine.

    learning_rate_init : float or "auto", default="auto"
        The highest learning rate. "auto" is 1e-3, or less where a wide or deep network of high
        frequency would become unstable: at most 12 / (`hidden_omega_0` times the summed fan_in of
        the hidden sine layers), measured on photographs with 128 to 256 units a layer, and a third
        of that where derivatives are fitted. For "soap" and values it is 1.2e-3, 16 takes the place
        of 12, and longer fits multiply it by the cube root of 2000 / `max_iter`. For pixels of a
        grid it is, if that is more, 0.3 over the number of times that each is seen, up to 4e-3 and
        to what 10 in place of 12 gives.

    beta_1 : float in [0, 1), default=0.9
        Decay of Adam's running mean of the gradient.

    beta_2 : float in [0, 1), default=0.99
        Decay of Adam's running mean of the squared gradient; below the usual 0.999, which is slow
        for fits of a thousand updates.

    loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        What is minimised, in units of the normalised target. "huber" is quadratic for residuals
        up to twice their median size and linear beyond, for each output: outliers of any size do
        little harm, as long as few are among the neighbours of any row.

        "huber" is fitted by least squares, wherever these take part, in up to six fits: each to
        values whose residuals beyond the turn are cut off there. Residuals are those of the fit
        before, at first of medians of neighbouring rows. Ensembles, derivatives, rows on a grid
        that are too many for "lm", and beginnings by "lm" where there is a `checkpoint`, are left
        to mini-batches, by the median of each.

    alpha : float, default=0.0
        For "adam" and "soap": strength of the L2 penalty; the objective is the weighted mean loss
        plus alpha / 2 times the sum of the squared weights.

    gradient_weight, laplacian_weight : float, default=1.0
        Weight of these terms of the objective where derivatives are fitted, beside 1 for the
        values. Each term is the mean loss in units of what it has to explain: the values in units
        of their standard deviation, derivatives in units of their root mean square.

    batch_size : int or "auto", default="auto"
        Rows of one update; all rows where there are fewer. "auto" is 2048, and 4096 in tables of
        more than 500,000 rows, which makes better use of them in twice the time.

    max_iter : int, default=1000
        Number of optimiser updates, whatever the number of rows; the most of them for "lm". Of
        each fit, where `loss` takes several.

    early_stopping : bool, default=False
        Whether to hold rows out, stop when their score stops improving, and keep the weights of
        the best moment.

    validation_fraction : float in (0, 1), default=0.1
        Share of the rows that `early_stopping` holds out.

    n_iter_no_change : int, default=200
        Number of updates without an improvement of the validation score by `tol`, after which
        `early_stopping` stops. It looks every ten updates, or more seldom where many rows are held
        out.

    tol : float, default=1e-4
        Smallest improvement of the validation score R² that counts.

    max_time : float or None, default=None
        Seconds after which :meth:`fit` ends at the next update, with a warning. Those before the
        first update count, but a fit has one at least. The learning rate goes by `max_iter`: where
        the time is up long before that, it has not fallen, and updates are still noisy.

    checkpoint : path-like or None, default=None
        A file that :meth:`fit` writes its state to every 10 seconds and when it ends. A fit of
        the same parameters and rows, started again on the same machine, goes on from it to the
        bits that an uninterrupted one gives; delete it to begin another. It needs safetensors and
        an integer `random_state`. "lm" writes none, nor does the beginning by "lm" before "soap",
        which is done again: give it more `max_time` than that takes.

    n_estimators : int, default=1
        Number of networks whose mean is the function. With two or more, :meth:`predict` has error
        bars; 8 are a good number. They differ in their initial weights and in the order of the
        rows, and where least squares choose `omega_0`, take it from the first. For "lm" each is
        fitted to targets with noise of the size that the rows show added to them, as a draw from a
        posterior. For "adam" and "soap" each pair leaves out a tenth of the rows, 2000 at most, by
        which the noise is estimated; with `early_stopping` it is by the rows held out.

    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the units of the previous one.

    normalize_X : bool, default=True
        Whether to map each feature from its range in the training data to [-1, 1]. Where a tenth
        of the rows or fewer are over three interquartile ranges from the quartiles, and make the
        range more than 30 times as long, it is the range of the others.

    normalize_y : bool, default=True
        Whether to standardise each target for training. Predictions are in the user's units.

    device : str, default="auto"
        "auto" takes CUDA, then MPS, then the CPU; otherwise a torch device string. "lm" computes
        on the CPU, and the fitted network lives on the device.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows and the rows held out. The same
        integer gives the same bits on one machine with one number of threads.

    verbose : bool, default=False
        Whether to show a progress bar (tqdm) on a terminal or in a notebook: updates and time left,
        or the steps of all networks of "lm", whose number nobody knows before.

    Attributes
    ----------
    network_ : Siren or SirenEnsemble
        The fitted network, a torch module on normalised coordinates; where `n_estimators` is above
        1, the mean of its `members`.

    noise_ : ndarray of shape (n_outputs,) or None
        Standard deviation of the noise of a row of mean weight, in units of y; None for a single
        network. 0 where there are no values, or too few to tell.

    omega_0_, hidden_omega_0_ : float
        The frequencies that the network has started with.

    loss_curve_ : ndarray of shape (n_iter_,)
        The objective before each update, on its mini-batch, in units of the normalised target. For
        "lm" it is over the rows that are fitted by then: up to 500 while the frequency is chosen,
        then all. For an ensemble it is the mean over the members, or with "lm" that of the first;
        of several fits for the sake of `loss` it is that of the last.

    best_loss_ : float
        The lowest value of `loss_curve_`.

    validation_scores_ : ndarray or None
        R² on the rows held out, in the course of a fit with `early_stopping`; of an ensemble the
        mean over its members.

    best_validation_score_ : float or None
        The highest of `validation_scores_`, which the fitted weights have. Each member of an
        ensemble is taken at a best moment of its own.

    n_iter_ : int
        Length of `loss_curve_`: number of updates, or of steps by "lm".

    n_parameters_ : int
        Number of weights and biases, of all members.

    n_outputs_ : int
        Number of targets.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    device_ : torch.device
        Where the network lives.

    See Also
    --------
    sklearn.neural_network.MLPRegressor : The same with ReLU, tanh or logistic units.
    ImageRegressor : An image in, an image of any size out.
    ImageCoordinateTransformer : Images to coordinates and values, and back.
    SirenSearchCV : Searches over the parameters, many networks as one batch.

    Notes
    -----
    In tables of up to 100,000 numbers, rows that are equal are merged with their weights summed,
    and the rest is sorted. So a fit does not depend on the order of such rows, and integer weights
    are exactly repeated rows. In larger tables they are so in expectation.

    Tables of more than 2**24 numbers are read where they are, in memory or in a file, a mini-batch
    at a time: a ``numpy.memmap`` of float32 or float64 may be larger than the memory. Blocks of 64
    rows are visited in random order and mixed with 32,767 others. With `early_stopping`, two or
    more `n_estimators`, a sample weight of 0, derivatives or other dtypes the table is copied.

    References
    ----------
    .. [1] Sitzmann, Martel, Bergman, Lindell, Wetzstein. Implicit Neural Representations with
       Periodic Activation Functions. NeurIPS 2020. arXiv:2006.09661.
    .. [2] Yeom, Lee, Lee. Fast Training of Sinusoidal Neural Fields via Scaling Initialization.
       ICLR 2025.
    .. [3] Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson, Kakade. SOAP: Improving and
       Stabilizing Shampoo using Adam. ICLR 2025. arXiv:2409.11321.
    .. [4] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press 2006,
       section 5.1.
    .. [5] Gasser, Sroka, Jennen-Steinmetz. Residual variance and residual pattern in nonlinear
       regression. Biometrika 73(3), 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from skinr import SirenRegressor
    >>> X = np.linspace(0, 1, 200)[:, None]
    >>> y = np.sin(40 * X[:, 0] ** 2)
    >>> model = SirenRegressor(random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.999)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [
            StrOptions({"auto"}),
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "omega_0": [StrOptions({"auto"}), POSITIVE],
        "hidden_omega_0": [None, POSITIVE],
        "weight_scale": [StrOptions({"auto"}), POSITIVE],
        "output_activation": [StrOptions({"identity", "sine"})],
        "first_layer_init": [StrOptions({"paper", "lecture"})],
        "solver": [StrOptions({"auto", "lm", "adam", "soap"})],
        "learning_rate": [StrOptions({"one_cycle", "constant"})],
        "learning_rate_init": [StrOptions({"auto"}), POSITIVE],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "loss": [StrOptions(set(LOSSES))],
        "alpha": [Interval(Real, 0, LARGEST, closed="both")],
        "gradient_weight": [Interval(Real, 0, LARGEST, closed="both")],
        "laplacian_weight": [Interval(Real, 0, LARGEST, closed="both")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, MOST_UPDATES, closed="both")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, LARGEST, closed="both")],
        "max_time": [None, Interval(Real, 0, None, closed="neither")],
        "checkpoint": [None, str, PathLike],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "normalize_X": ["boolean"],
        "normalize_y": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _adam_state: AdamState | None

    def __init__(
        self,
        hidden_layer_sizes: Any = "auto",
        *,
        omega_0: float | str = "auto",
        hidden_omega_0: float | None = None,
        weight_scale: float | str = "auto",
        output_activation: str = "identity",
        first_layer_init: str = "paper",
        solver: str = "auto",
        learning_rate: str = "one_cycle",
        learning_rate_init: float | str = "auto",
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        loss: str = "squared_error",
        alpha: float = 0.0,
        gradient_weight: float = 1.0,
        laplacian_weight: float = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 1000,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 200,
        tol: float = 1e-4,
        max_time: float | None = None,
        checkpoint: str | PathLike[str] | None = None,
        n_estimators: int = 1,
        warm_start: bool = False,
        normalize_X: bool = True,
        normalize_y: bool = True,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.omega_0 = omega_0
        self.hidden_omega_0 = hidden_omega_0
        self.weight_scale = weight_scale
        self.output_activation = output_activation
        self.first_layer_init = first_layer_init
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.loss = loss
        self.alpha = alpha
        self.gradient_weight = gradient_weight
        self.laplacian_weight = laplacian_weight
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.max_time = max_time
        self.checkpoint = checkpoint
        self.n_estimators = n_estimators
        self.warm_start = warm_start
        self.normalize_X = normalize_X
        self.normalize_y = normalize_y
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        gradient: ArrayLike | None = None,
        laplacian: ArrayLike | None = None,
    ) -> SirenRegressor:
        """Fit the network to a table of values, of derivatives, or of both.

        Where derivatives are given, NaN in `y`, `gradient` or `laplacian` marks what a row does
        not have, and `y` may be missing altogether. The constant that derivatives leave open is
        then set so that the weighted mean residual of the known values is 0; without any, so that
        the weighted mean prediction over the rows is 0.

        Derivatives alone are learned slowly by Adam in long waves, which have small slopes. So
        values that the derivatives imply, integrated along a grid or between scattered rows of up
        to three features, are fitted with them, but for the last 15% of the updates. "lm" fits
        those that a Laplacian implies first, and then without them: they settle what it leaves
        open.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates, in any unit. Large ones may be a ``numpy.memmap``, see the notes.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Values, in any unit.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative weights, not all of them zero.
        gradient : array-like of shape (n_samples, n_features) or \
                (n_samples, n_outputs, n_features), optional
            Derivatives of the values by the columns of this `X`, in their order, in the units of
            both: behind another step of a Pipeline, by what that step returns. A DataFrame may not
            name them in another order.
        laplacian : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
            Sums of the second derivatives by each column of this `X`.

        Returns
        -------
        self : SirenRegressor

        Raises
        ------
        ValueError
            For NaN or infinite entries, no rows, arrays of shapes that do not belong together,
            slopes along features in another order, complex input, a `y` of text, unusable
            parameters or weights, or a device that is not on this machine.
        TypeError
            For sparse input.
        ImportError
            Where `checkpoint` is given, without safetensors.

        Warns
        -----
        ConvergenceWarning
            If training diverged and went on from its last good state at a lower learning rate; or
            if Ctrl-C, SIGTERM or `max_time` ended it. It is then fitted as far as it had come, or
            with `early_stopping` as it was at its best; an ensemble may have come to its first
            network alone, which has no error bars. A second signal within two seconds is not held
            back.
        UserWarning
            If a checkpoint could not be written; where `verbose` asks for a progress bar and tqdm
            is missing; or where columns vary in a warm start that were constant before.
        """
        continued = self.warm_start and hasattr(self, "network_")
        with Interruption(self.max_time) as interruption, features_kept_on_error(self):
            problem = prepare(self, X, y, sample_weight, gradient, laplacian, continued=continued)
            history = self._solve(problem, interruption)
        warn_of(history, problem.rate, stacklevel=3)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        gradient: ArrayLike | None = None,
        laplacian: ArrayLike | None = None,
    ) -> SirenRegressor:
        """Go once through a piece of the data, at the constant rate `learning_rate_init`.

        The solver is "soap" where that is asked for, else "adam". The units of X and y, and the
        frequency where `omega_0="auto"`, are those of the first piece, so that should be a typical
        one; a long stream wants an `omega_0` of its own. `early_stopping` concerns :meth:`fit`
        alone, and so does the rule for a constant that derivatives leave open. Copies and saved
        models go on without the moments of the optimiser.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
            How much rows count beside the others of this piece; their sum is of no effect.
        gradient : array-like of shape (n_samples, n_features) or \
                (n_samples, n_outputs, n_features), optional
        laplacian : array-like of shape (n_samples,) or (n_samples, n_outputs), optional

        Returns
        -------
        self : SirenRegressor

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`.
        KeyboardInterrupt
            After a Ctrl-C, once the update that is running is done and what it taught is kept. A
            SIGTERM ends the program then.

        Warns
        -----
        ConvergenceWarning
            If training diverged, as in :meth:`fit`.
        UserWarning
            Where columns vary that were constant in the first piece.
        """
        continued = hasattr(self, "network_")
        earlier = vars(self) if continued else {}
        with signals_postponed() as interruption, features_kept_on_error(self):
            problem = prepare(
                self, X, y, sample_weight, gradient, laplacian, continued=continued, is_piece=True
            )
            solution, self._adam_state = go_through(
                self, problem, earlier.get("_adam_state"), earlier.get("noise_"), interruption
            )
            self._finish(solution, earlier.get("loss_curve_", ()))
        warn_of(solution.history, problem.rate, stacklevel=3)
        return self

    @overload
    def predict(
        self,
        X: ArrayLike,
        *,
        return_gradient: Literal[False] = False,
        return_std: Literal[False] = False,
    ) -> Values: ...

    @overload
    def predict(
        self, X: ArrayLike, *, return_gradient: bool = False, return_std: bool = False
    ) -> Values | tuple[Values, Values]: ...

    def predict(
        self, X: ArrayLike, *, return_gradient: bool = False, return_std: bool = False
    ) -> Values | tuple[Values, Values]:
        """Evaluate the fitted function.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates in the units of the training data.
        return_gradient : bool, default=False
            Whether to return the gradient too, which shares the work.
        return_std : bool, default=False
            Whether to return standard deviations too, which takes two or more `n_estimators`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values in the units of the training data; float32 if those were, else float64.
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            As :meth:`gradient` returns it; only where `return_gradient` is True.
        std : ndarray of the shape of `y`
            Only where `return_std` is True: the standard deviation of new values around `y`, their
            noise included, at mean weight. Its square less that of `noise_` is the variance of the
            function. y ± 1.96 std is made to hold 95% of new values, from some 20 rows on, and is
            too narrow of fewer; for few members the deviation of the function is that much wider
            than the members' own, as of Student's t.

        Raises
        ------
        ValueError
            For both at a time, `return_std` of a single network, or an `X` that is not finite, or
            of other features than the fit's.
        NotFittedError
            Before a fit.
        """
        if return_gradient and return_std:
            raise ValueError("Ask for return_gradient or return_std, not for both at a time.")
        if return_gradient:
            return self._values_and_gradient(X)
        if return_std:
            return self._values_and_std(X)
        values = self._evaluate(X, evaluate, lambda y: self._units.y.restore(y))
        return values[:, 0] if self._units.single_target else values

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        gradient: ArrayLike | None = None,
        laplacian: ArrayLike | None = None,
    ) -> float:
        """Return R², the share of the variance that is explained.

        Where derivatives are given it is the mean of the R² of each kind that is given, over the
        rows without NaN, as far as there are two of an output. Derivatives are compared with 0, as
        a constant function has them, and the components of gradients in units of 1 over the range
        of each feature.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        gradient : array-like of shape (n_samples, n_features) or \
                (n_samples, n_outputs, n_features), optional
        laplacian : array-like of shape (n_samples,) or (n_samples, n_outputs), optional

        Returns
        -------
        score : float
            1 for a perfect fit, 0 for one no better than the mean, or a constant function.

        Raises
        ------
        ValueError
            For rows that :meth:`predict` would refuse, targets of other shapes, slopes along
            features in another order, or nothing to score.
        NotFittedError
            Before a fit.
        """
        if gradient is None and laplacian is None:
            if y is None:
                raise ValueError(
                    "score takes y, gradient or laplacian to compare with; none given."
                )
            return float(super().score(X, y, sample_weight))
        return self._score_with_derivatives(X, y, sample_weight, gradient, laplacian)

    def layer_activations(self, X: ArrayLike) -> list[tuple[Values, Values]]:
        """Look at every layer's pre-activations and activations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates in the units of the training data.

        Returns
        -------
        layers : list of (pre_activation, activation), each ndarray of shape (n_samples, width)
            From the first hidden layer to the output; ω(Wx + b) and its sine. The units of an
            ensemble's members are side by side, and its output is their mean.

        Raises
        ------
        ValueError, NotFittedError
            As :meth:`predict`.
        """
        X = self._validate_coordinates(X)
        parameter = next(self.network_.parameters())
        coordinates = to_tensor(X, self._units.X, parameter)
        with torch.no_grad():
            layers = self.network_.layer_activations(coordinates)
            return [(before.cpu().numpy(), after.cpu().numpy()) for before, after in layers]

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags of this estimator."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _solve(self, problem: Problem, interruption: Interruption) -> History:
        """Fit a problem, and become what it comes to."""
        solution = solve(self, problem, interruption)
        self._adam_state = None
        self._finish(solution)
        return solution.history

    def _validate_coordinates(self, X: ArrayLike) -> Values:
        check_is_fitted(self)
        validated: Values = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return validated

    def _evaluate(
        self,
        X: ArrayLike,
        function: Callable[[SirenStack, torch.Tensor], torch.Tensor],
        restore: Callable[[Values], Values],
        dtype: np.dtype[Any] | None = None,
        reduce: Callable[[torch.Tensor], torch.Tensor] = mean_of_members,
    ) -> Values:
        """Apply a function of the networks to rows, and restore the user's units, in chunks."""
        X = self._validate_coordinates(X)
        stack = to_stack(self.network_, None if dtype is None else TORCH_DTYPES[dtype])
        results: Values | None = None
        for chunk in gen_batches(len(X), CHUNK_SIZE):
            coordinates = to_tensor(X[chunk], self._units.X, stack.parameters)
            restored = restore(reduce(function(stack, coordinates[None])).cpu().numpy())
            if results is None:
                shape = len(X), *restored.shape[1:]
                results = np.empty(shape, dtype or self._units.y_dtype)
            results[chunk] = restored
        assert results is not None
        return results

    def _finish(self, solution: Solution, earlier_losses: ArrayLike = ()) -> None:
        """Set the fitted attributes."""
        history = solution.history
        scores = history.validation_scores
        self._set_fitted(
            FittedState(
                network=to_network(solution.stack),
                units=solution.units,
                losses=np.concatenate([earlier_losses, history.losses.mean(axis=1)]),
                validation_scores=None if scores is None else scores.mean(axis=1),
                noise=solution.noise,
            )
        )

    def _set_fitted(self, state: FittedState) -> None:
        network, losses, scores = state.network, state.losses, state.validation_scores
        self._units = state.units
        self.network_ = network
        self.noise_ = state.noise
        self.omega_0_ = network.omega_0
        self.hidden_omega_0_ = network.hidden_omega_0
        self.loss_curve_ = losses
        self.best_loss_ = float(np.nanmin(losses, initial=np.inf))
        self.validation_scores_ = scores
        self.best_validation_score_ = (
            None if scores is None else float(np.nanmax(scores, initial=-np.inf))
        )
        self.n_iter_ = len(losses)
        self.n_parameters_ = len(members_of(network)) * network.architecture.n_parameters
        self.n_outputs_ = network.architecture.n_outputs
        self.device_ = next(network.parameters()).device
