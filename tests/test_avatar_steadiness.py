"""What should rest does rest: with a fixed pose, a talking mouth moves nothing but the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aednerf.avatar.avatar import Avatar
from aednerf.evaluation.regions import HEAD_LABEL
from aednerf.evaluation.steadiness import MARGIN_PX, difference, far_from
from aednerf.motion.channels import JAW_OPEN
from aednerf.synthetic import shipped

N_FRAMES = 12
SIZE = 256
LIMIT = 0.1
"""Code values: what people might see begins at 1; the worst pair measured 0.0015."""


@pytest.mark.parametrize("emotion", ["neutral", "happy"])
def test_a_moving_mouth_leaves_everything_but_the_head_at_rest(emotion: str) -> None:
    avatar = Avatar.load(shipped.shipped(shipped.AVATAR_NAME), "cpu")
    spoken = avatar.speak(shipped.shipped(shipped.SENTENCE_NAME), emotion).motion
    widest = int(np.argmax(np.abs(np.diff(spoken.expression[:, JAW_OPEN]))))
    first = min(max(widest - N_FRAMES // 2, 0), len(spoken) - N_FRAMES)
    motion = spoken[first : first + N_FRAMES]
    still = replace(
        motion, rotation=np.tile(avatar.bundle.rotation, (N_FRAMES, 1, 1)),
        translation=np.tile(avatar.bundle.translation, (N_FRAMES, 1)),
    )  # fmt: skip
    assert np.ptp(motion.expression[:, JAW_OPEN]) > 0.1
    frames = list(avatar.render(still, size=SIZE, background="#00ff00", aov="depth").frames())
    parts = [np.where(frame.layers["depth"] > 0, HEAD_LABEL, 0) for frame in frames]
    for before, now, parts_before, parts_now in zip(frames, frames[1:], parts, parts[1:], strict=False):
        rest = far_from((parts_before == HEAD_LABEL) | (parts_now == HEAD_LABEL), MARGIN_PX)
        assert rest.mean() > 0.3
        assert difference(before.rgba[..., :3], now.rgba[..., :3], rest) <= LIMIT
    moved = zip(frames, frames[1:], parts, strict=False)
    assert max(difference(a.rgba[..., :3], b.rgba[..., :3], head > 0) for a, b, head in moved) > 1.0
