"""Fit a sound, fill in samples that are missing, and sample it twice as densely.

Four plucked strings, made by Karplus and Strong's algorithm; a fifth of the samples is missing.
Writes sound.png, and sound.wav, sound_with_gaps.wav, sound_filled_in.wav and
sound_at_twice_the_rate.wav to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from scipy.interpolate import CubicSpline
from scipy.io import wavfile

from skinr import ImageRegressor, SirenRegressor

parser = argparse.ArgumentParser(description="Fit a sound.")
parser.add_argument("--seconds", type=at_least(0.01), default=0.5)
parser.add_argument("--max-iter", type=at_least(1), default=1000, help="number of updates")
parser.add_argument("--random-state", type=int, default=0)
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

RATE = 8000
random = np.random.default_rng(options.random_state)


# %% A sound, and which of its samples are known
def pluck(frequency, n_samples):
    """Return the sound of a string: noise that goes round, averaged at every turn."""
    string = random.uniform(-1, 1, round(RATE / frequency))
    sound = np.empty(n_samples)
    for index in range(n_samples):
        here, following = index % len(string), (index + 1) % len(string)
        sound[index] = string[here]
        string[here] = 0.498 * (string[here] + string[following])
    return sound


n_samples = round(RATE * options.seconds)
strings = np.zeros(n_samples)
for index, frequency in enumerate((196, 247, 294, 392)):
    start = index * n_samples // 5
    strings[start:] += pluck(frequency, n_samples - start)
sound = (20_000 * strings / np.abs(strings).max()).astype(np.int16)
known = random.random(n_samples) < 0.8

# %% The fit: an image of one axis. How fast it oscillates shows in its spectrum
siren = SirenRegressor(max_iter=options.max_iter, random_state=options.random_state, verbose=True)
model = ImageRegressor(siren).fit(sound, mask=known)
filled = np.where(known, sound, model.predict())
times = np.arange(n_samples)
spline = CubicSpline(times[known], sound[known])(times)


def signal_to_noise(candidate, where):
    noise = np.subtract(candidate, sound, dtype=float)[where]
    return 10 * np.log10(np.mean(np.square(sound[where], dtype=float)) / np.mean(noise**2))


print(
    f"{n_samples} samples, {model.regressor_.n_parameters_} parameters; signal over noise\n"
    f"known samples: {signal_to_noise(model.predict(), known):.1f} dB\n"
    f"missing samples: SIREN {signal_to_noise(filled, ~known):.1f} dB, "
    f"cubic spline {signal_to_noise(spline, ~known):.1f} dB"
)

# %% To listen to
wavfile.write(options.figures / "sound.wav", RATE, sound)
wavfile.write(options.figures / "sound_with_gaps.wav", RATE, np.where(known, sound, 0))
wavfile.write(options.figures / "sound_filled_in.wav", RATE, filled.astype(np.int16))
wavfile.write(options.figures / "sound_at_twice_the_rate.wav", 2 * RATE, model.predict(scale=2))

# %% A hundredth of a second, ten times as fine
first, last = n_samples // 4, min(n_samples // 4 + RATE // 100, n_samples)
fine = model.predict(scale=10, region=[(first, last)])
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.plot((first - 0.45 + np.arange(len(fine)) / 10) / RATE, fine, label="SIREN")
part = np.arange(first, last)
for name, where in {"known": known[part], "missing": ~known[part]}.items():
    marker = "o" if name == "known" else "x"
    ax.plot(part[where] / RATE, sound[part][where], marker, label=f"{name} samples")
ax.set_xlabel("seconds")
ax.legend()
figure.savefig(options.figures / "sound.png", dpi=100)
print(f"figures in {options.figures.resolve()}")
