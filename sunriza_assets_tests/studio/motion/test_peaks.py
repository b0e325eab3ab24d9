"""Peaks and smoothing against scipy's, on curves with plateaus, ends and steps of their own."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from scipy.signal import find_peaks, savgol_filter

from sunriza_assets.studio.motion.peaks import peaks_of
from sunriza_assets.studio.motion.smoothing import smooth, window_frames


@pytest.mark.parametrize("below", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("levels", [3, 8, None])
def test_peaks_are_those_of_scipy(levels: int | None, below: float) -> None:
    for seed in range(60):
        random = np.random.default_rng(seed)
        curve = random.random(random.integers(1, 90))
        if levels is not None:  # few levels make plateaus
            curve = np.floor(curve * levels) / levels
        curve = np.concatenate([[0.0], curve, [0.0]])
        places, found = find_peaks(curve, height=0.2, prominence=0, width=0, rel_height=below)
        peaks = peaks_of(curve, least=0.2, below=below)
        assert [peak.place for peak in peaks] == places.tolist()
        assert [peak.height for peak in peaks] == found["peak_heights"].tolist()
        assert [peak.prominence for peak in peaks] == pytest.approx(found["prominences"].tolist())
        assert [peak.width for peak in peaks] == pytest.approx(found["widths"].tolist())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 10, 200])
@pytest.mark.parametrize("frames", [3, 5, 9])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_smoothing_is_that_of_savitzky_and_golay(count: int, frames: int, rate: Fraction) -> None:
    values = np.random.default_rng(count).normal(size=(count, 4, 3))
    window = min(window_frames(frames, rate), count - 1 + count % 2)
    wanted = values if window <= 3 else savgol_filter(values, window, 2, axis=0, mode="interp")
    assert np.allclose(smooth(values, rate, frames_at_30=frames), wanted, rtol=0, atol=1e-12)


def test_the_engine_loads_without_scipys_signal_package() -> None:
    script = (
        "import sys\n"
        "import sunriza_assets.studio.engines.mesh.engine\n"
        "sys.exit('scipy.signal' in sys.modules or 'scipy.stats' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
