"""The progress bar of a long fit."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

Progress = Callable[[int, Tensor | float], None]
"""Takes the number of updates done and the loss of the last one."""


def show_nothing(n_iter: int, loss: Tensor | float) -> None:
    """Take no notice of a fit."""


@contextmanager
def progress_bar(max_iter: int | None, verbose: bool) -> Iterator[Progress]:
    """Show updates, loss and time left while the context lasts, where somebody looks on.

    Parameters
    ----------
    max_iter : int or None
        Updates of the whole fit, where that is known.
    verbose : bool
        False shows nothing, nor does True where stderr is no terminal and this is no notebook.

    Yields
    ------
    progress : Progress
    """
    if not (verbose and _is_watched()):
        yield show_nothing
        return
    try:
        from tqdm import auto
    except ImportError:
        warnings.warn(
            "verbose=True shows a progress bar with tqdm, which is not installed; "
            "pip install 'skinr[progress]' brings it. The fit goes on without.",
            stacklevel=7,
        )
        yield show_nothing
        return
    with auto.tqdm(total=max_iter, unit="update", desc="fit") as bar:

        def progress(n_iter: int, loss: Tensor | float) -> None:
            bar.set_postfix(loss=f"{float(loss):.3g}", refresh=False)
            bar.update(n_iter - bar.n)

        yield progress


def _is_watched() -> bool:
    """Return whether there is a notebook or a terminal; without a console there is no stderr."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
