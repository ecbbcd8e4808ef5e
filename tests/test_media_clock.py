"""The mapping from source time stamps to ticks: pure, so it is tested by properties."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from aednerf.media.clock import nearest_in_time


def _constant(fps: Fraction | int, n: int):
    return ((Fraction(i) / fps, 1 / Fraction(fps), i) for i in range(n))


def test_same_rate_is_the_identity():
    assert list(nearest_in_time(_constant(25, 1779), 25)) == list(range(1779))


def test_an_hour_of_thirty_fps_does_not_drift():
    rate = Fraction(30000, 1001)
    frames = list(nearest_in_time(_constant(rate, int(3600 * rate)), 25))
    assert abs(len(frames) - 90_000) <= 1
    worst = max(abs(k / 25 - frame / float(rate)) for k, frame in enumerate(frames))
    assert worst <= float(1 / (2 * rate)) + 1e-9


steps = st.lists(st.integers(1, 4000), min_size=1, max_size=60)


@settings(max_examples=80, deadline=None)
@given(steps, st.sampled_from([1, 10, 25, Fraction(30000, 1001), 60]), st.integers(0, 2000))
def test_every_tick_shows_the_nearest_frame(steps, fps, start_ms):
    times = [Fraction(sum(steps[:i]), 1000) for i in range(len(steps))]
    last = Fraction(steps[-1], 1000)
    start = Fraction(start_ms, 1000)
    shown = list(nearest_in_time(((time, last, i) for i, time in enumerate(times)), fps, start))
    for k, frame in enumerate(shown):
        tick = start + Fraction(k) / fps
        assert abs(times[frame] - tick) == min(abs(time - tick) for time in times)
    assert shown == sorted(shown)
    length = (times[-1] + last - start) * fps
    if length > 0:
        # At the end nothing is lost but what the last frame's nearest tick leaves open.
        assert len(shown) >= 1 and abs(len(shown) - length) <= max(1, Fraction(1, 2))
    else:
        assert shown == [] or start < times[-1] + last


def test_disordered_and_repeated_time_stamps_are_left_out():
    entries = [(Fraction(t, 25), Fraction(1, 25), t) for t in (0, 1, 1, 0, 2, 3)]
    assert list(nearest_in_time(iter(entries), 25)) == [0, 1, 2, 3]


def test_one_picture_gives_one_tick():
    assert list(nearest_in_time([(Fraction(0), Fraction(1, 1000), "only")], 25)) == ["only"]
    assert list(nearest_in_time([], 25)) == []
