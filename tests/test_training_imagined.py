"""Expressions that nobody recorded keep their room in the field."""

from __future__ import annotations

import torch

from aednerf.core.records import ARKIT_NAMES, EMOTIONS
from aednerf.emotion.prior import prior
from aednerf.training.imagined import imagined_expressions


def test_every_emotion_and_an_open_jaw_are_imagined() -> None:
    imagined = imagined_expressions(torch.device("cpu"))
    assert imagined.shape == (len(EMOTIONS), len(ARKIT_NAMES))  # the seven that are felt, and the jaw
    assert float(imagined.min()) >= 0 and float(imagined.max()) <= 1
    torch.testing.assert_close(imagined[0], torch.from_numpy(prior(EMOTIONS[1])))
    assert float(imagined[-1, ARKIT_NAMES.index("jawOpen")]) >= 0.5
