"""What a recording shows of all expressions."""

from __future__ import annotations

import torch

from aednerf.core.records import ARKIT_NAMES
from aednerf.field.config import FieldConfig
from aednerf.field.head import HeadField
from aednerf.field.known import KnownExpressions

N = len(ARKIT_NAMES)
SMILE, JAW, BROW = (ARKIT_NAMES.index(name) for name in ("mouthSmileLeft", "jawOpen", "browInnerUp"))


def _learned() -> tuple[KnownExpressions, torch.Tensor]:
    """A recording in which a jaw opens widely, and a smile and a brow stay."""
    recorded = torch.zeros(200, N)
    recorded[:, JAW] = torch.linspace(0, 0.6, 200)
    recorded[:, BROW] = 0.2
    known = KnownExpressions(is_kept=True)
    known.learn(recorded)
    return known, recorded


def test_what_was_recorded_stays_as_it_is() -> None:
    known, recorded = _learned()
    torch.testing.assert_close(known(recorded), recorded, atol=0.01, rtol=0)


def test_what_was_never_seen_is_the_nearest_that_was() -> None:
    known, recorded = _learned()
    strange = recorded[100:101].clone()
    strange[0, SMILE], strange[0, BROW] = 0.8, 0.9
    torch.testing.assert_close(known(strange), recorded[100:101], atol=0.01, rtol=0)
    strange[0, JAW] = 1.5
    assert 0.6 < float(known(strange)[0, JAW]) < 0.7, "a little further than seen"


def test_what_goes_far_in_many_ways_at_once_is_a_weaker_one_of_its_kind() -> None:
    generator = torch.Generator().manual_seed(1)
    recorded = 0.3 + 0.05 * torch.randn(2000, N, generator=generator)
    known = KnownExpressions(is_kept=True)
    known.learn(recorded)
    one = torch.full((1, N), 0.3)
    one[0, SMILE] += 0.15
    everything = torch.full((1, N), 0.3) + 0.15 * torch.randn(1, N, generator=generator).sign()
    # One coefficient three spreads away was seen, all of them were not.
    usual = known.usual
    assert (known(one) - usual).norm() > 0.7 * (one - usual).norm()
    far, kept = everything - usual, known(everything) - usual
    assert kept.norm() < 0.6 * far.norm()
    assert torch.nn.functional.cosine_similarity(far, kept).item() > 0.95


def test_nothing_is_held_back_before_anything_was_seen() -> None:
    expression = torch.rand(3, N)
    torch.testing.assert_close(KnownExpressions(is_kept=False)(expression), expression)


def test_fewer_frames_than_coefficients_are_enough() -> None:
    known = KnownExpressions(is_kept=True)
    known.learn(torch.rand(1, N))
    assert all(bool(value.isfinite().all()) for value in known.state_dict().values())
    torch.testing.assert_close(known(torch.rand(1, N)), known(torch.rand(1, N)))


def test_an_avatar_made_before_holds_nothing_of_it() -> None:
    sizes = FieldConfig(n_levels=2, log2_entries=8, width=8, n_basis=2, n_mouth_basis=2, n_eye_basis=0)
    values = sizes.to_dict()
    now = set(HeadField(FieldConfig.from_dict(values)).state_dict())
    del values["holds_face"]
    before = set(HeadField(FieldConfig.from_dict(values)).state_dict())
    assert before < now and {name.split(".")[-1] for name in now - before} == {
        "usual", "directions", "belief", "low", "high", "face_basis", "face_mix",
    }  # fmt: skip
