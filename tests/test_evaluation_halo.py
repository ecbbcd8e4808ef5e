"""The halo is measured on the head's edge alone, and is what was put there."""

from __future__ import annotations

import numpy as np
import pytest

from aednerf.evaluation.halo import SEAM_PX, Cutout, blurred, edge_ring, halo

SIZE, RADIUS = 96, 24
V, U = np.mgrid[:SIZE, :SIZE] + 0.5
AWAY = np.hypot(U - SIZE / 2, V - SIZE / 2) - RADIUS
"""Distance from the disc's edge, pixels; inside is negative."""


def disc() -> Cutout:
    """Return a brown disc for a head, on a column for a neck."""
    colour = np.broadcast_to(np.array([120, 80, 60], np.uint8), (SIZE, SIZE, 3)).copy()
    parts = np.where(AWAY < 0, 1, np.where((np.abs(U - SIZE / 2) < 8) & (SIZE / 2 < V), 2, 0)).astype(np.uint8)
    alpha = np.rint(255 * np.where(parts == 2, 1.0, np.clip(0.5 - AWAY, 0, 1))).astype(np.uint8)
    return Cutout(colour, alpha, parts)


def drawn(true: Cutout, colour: np.ndarray | None = None, alpha: np.ndarray | None = None) -> np.ndarray:
    alpha = true.alpha / 255 if alpha is None else alpha
    straight = (true.colour if colour is None else colour) / 255
    return np.dstack([straight * alpha[..., None], alpha]).astype(np.float32)


def test_the_truth_has_no_halo() -> None:
    assert halo(drawn(disc()), disc()) == pytest.approx(0, abs=1e-3)


def test_out_of_focus_the_truth_has_a_small_halo() -> None:
    soft = blurred(disc())
    assert soft[SIZE // 2, SIZE // 2] == pytest.approx(drawn(disc())[SIZE // 2, SIZE // 2], abs=1e-5)
    assert 1 < halo(soft, disc()) < 10


def test_the_ring_lies_on_the_edge_between_head_and_background() -> None:
    ring = edge_ring(disc().parts)
    assert np.abs(AWAY[ring]).max() < 3.2
    assert ring[(np.abs(AWAY) < 1.9) & (V < SIZE / 2)].all()
    assert not ring[(np.abs(U - SIZE / 2) < 4) & (V > SIZE / 2)].any()  # the neck is no edge
    assert ring.sum() == pytest.approx(5 * 2 * np.pi * RADIUS * 0.85, rel=0.1)


def test_a_rim_of_the_old_background_is_found_with_its_size() -> None:
    true = disc()
    rim = true.colour.copy()
    rim[AWAY > -1] = (0, 0, 200)  # colour of a blue room baked into the edge
    inside_rim = (AWAY > -1) & edge_ring(true.parts)
    expected = (np.abs(rim.astype(float) - true.colour).mean(-1) * true.alpha / 255)[edge_ring(true.parts)].mean()
    assert halo(drawn(true, rim), true) == pytest.approx(expected, abs=0.01) and inside_rim.any() and expected > 10
    inner = true.colour.copy()
    inner[AWAY < -4] = 0  # what is not on the edge does not count
    assert halo(drawn(true, inner), true) == pytest.approx(0, abs=1e-3)


def test_a_head_that_is_cut_too_large_or_too_small_shows_before_both_colours() -> None:
    true = disc()
    for shift in (-1.0, 1.0):
        other = np.where(true.parts == 2, 1.0, np.clip(0.5 - AWAY + shift, 0, 1))
        assert 10 < halo(drawn(true, alpha=other), true) < 40


def test_a_seam_is_a_rim_of_another_colour_and_not_an_edge_that_trembles() -> None:
    true = disc()
    angle = np.arctan2(V - SIZE / 2, U - SIZE / 2)
    trembling = np.where(true.parts == 2, 1.0, np.clip(0.5 - AWAY + np.sign(np.sin(24 * angle)), 0, 1))
    larger = np.where(true.parts == 2, 1.0, np.clip(0.5 - AWAY + 1.0, 0, 1))
    for alpha, low, high in ((trembling, 0.0, 0.35), (larger, 0.8, 1.1)):
        ours = drawn(true, alpha=alpha)
        assert low < halo(ours, true, SEAM_PX) / halo(ours, true) < high
    assert halo(drawn(true), true, SEAM_PX) == pytest.approx(0, abs=1e-3)


def test_a_picture_without_an_edge_has_none() -> None:
    everywhere = disc()._replace(parts=np.ones((SIZE, SIZE), np.uint8))
    assert np.isnan(halo(drawn(everywhere), everywhere))
