import numpy as np
from prediction_rows import drawn, row, sure

from mindgauge import predictions
from mindgauge.figures import figures
from mindgauge.reliability import plot


def test_the_plot_is_a_png_whatever_is_known(scheme):
    random = np.random.default_rng(1)
    rows = [
        row(n, drawn(scheme, random), given, probabilities=sure(scheme, given, 0.4 + 0.5 * random.random()))
        for n in range(60)
        for given in [drawn(scheme, random)]
    ]
    val, test = predictions.from_rows(scheme, rows[:20]), predictions.from_rows(scheme, rows[20:])
    for of in (figures(test, val, resamples=20), figures(test, resamples=20)):
        png = plot(scheme, of["calibration"])
        assert png.startswith(b"\x89PNG") and len(png) > 10_000
        assert png == plot(scheme, of["calibration"])  # the same figures, the same bytes
