"""The project's clock, sample rate and head box: the one place where these numbers stand."""

FPS = 25
"""Video frames per second, inside the program and in every file it writes."""

SAMPLE_RATE_HZ = 16_000
"""Audio samples per second: mono float32 in [-1, 1]."""

SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FPS
"""Audio samples that one video frame spans (640)."""

HEAD_BOX_HALF_M = 0.2
"""Half the edge of the head's box in metres: the cube [-0.2, 0.2]^3 around the face model's origin."""


def frames_for_samples(n_samples: int) -> int:
    """Return how many video frames `n_samples` audio samples fill, the last one rounded to the nearest.

    >>> frames_for_samples(16_000), frames_for_samples(100), frames_for_samples(0)
    (25, 1, 0)
    """
    if n_samples <= 0:
        return 0
    return max(1, (n_samples + SAMPLES_PER_FRAME // 2) // SAMPLES_PER_FRAME)
