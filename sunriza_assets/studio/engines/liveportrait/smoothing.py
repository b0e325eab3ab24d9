"""The smoother that takes the jitter of per-frame crops out of a source that is itself a video."""

from typing import Final

import torch
from torch import Tensor

__all__ = ["OBSERVATION_VARIANCE", "kalman_smoothed"]

OBSERVATION_VARIANCE: Final = 3e-7
_PROCESS_VARIANCE: Final = 1e-5
_FIRST_VARIANCE: Final = 1.0


def kalman_smoothed(values: Tensor, observation_variance: float) -> Tensor:
    """Rauch-Tung-Striebel smoother (AIAA J. 3, 1965) of a random walk seen through noise.

    All covariances are multiples of the identity, so the gains are scalars, the same for every
    component, and one pass forward and one back over the frames is all there is to do.

    Args:
        values: (T, ...) observations.
        observation_variance: of the noise; the walk's own is 1e-5 a frame.

    Returns:
        (T, ...) in the type of `values`, computed in float64.
    """
    seen = values.double()
    means = [seen[0]]
    variances: list[float] = []
    predicted: list[float] = []
    prior = _FIRST_VARIANCE
    for frame in range(len(seen)):
        if frame:
            prior = variances[-1] + _PROCESS_VARIANCE
            means.append(means[-1])
        predicted.append(prior)
        gain = prior / (prior + observation_variance)
        means[-1] = means[-1] + gain * (seen[frame] - means[-1])
        variances.append((1 - gain) * prior)
    for frame in range(len(seen) - 2, -1, -1):
        gain = variances[frame] / predicted[frame + 1]
        means[frame] = means[frame] + gain * (means[frame + 1] - means[frame])
    return torch.stack(means).to(values.dtype)
