"""Whether every random state learns.

Fits that differ in nothing but their random state: the defaults on a photograph, on a chirp and on
a table of 100 noisy rows, and the fits whose rates and frequencies are the highest, of few updates
and of small networks. The error is 1 - R²: on the pixels, on new points of the chirp, and against
the noiseless truth at new points of the table.
"""

import argparse

import numpy as np
from common import LEARNED, describe_environment, square, write_json
from functions import table

from skinr import ImageCoordinateTransformer, SirenRegressor


def pixels(name, size):
    """Return the pixels of a grey photograph, as what to fit and as what to compare with."""
    return 2 * ImageCoordinateTransformer().image_to_arrays(square(name, size))


CASES = {
    "photograph": (pixels("china", 256), {}),
    "photograph, 100 updates": (pixels("china", 256), {"max_iter": 100}),
    "tile of 3 x 64 units": (
        pixels("flower", 128),
        {"hidden_layer_sizes": (64, 64, 64), "max_iter": 500},
    ),
    "chirp, 300 rows": (table("chirp", 300, 0.0, 0), {}),
    "Franke's, 100 rows": (table("Franke", 100, 0.1, 0), {}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=100)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{'fit':<26}{'1 - R²: median':>16}{'worst':>10}{'learned':>12}")
    results = {}
    for case in options.cases:
        (X, y, new, truth), parameters = CASES[case]
        models = (
            SirenRegressor(**parameters, random_state=state).fit(X, y)
            for state in range(options.states)
        )
        errors = np.array([1 - model.score(new, truth) for model in models])
        results[case] = errors.tolist()
        n_learned = int((errors <= LEARNED).sum())
        print(
            f"{case:<26}{np.median(errors):>16.1e}{errors.max():>10.1e}"
            f"{n_learned:>5} of {len(errors)}",
            flush=True,
        )
    write_json(options.json, results)


if __name__ == "__main__":
    main()
