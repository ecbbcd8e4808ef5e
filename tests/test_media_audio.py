"""Sound: rates, formats, channels, time stamps, memory, and what is wrong with a file."""

from __future__ import annotations

import subprocess
import sys
import wave
from fractions import Fraction

import numpy as np
import pytest

from aednerf.core.errors import InputError
from aednerf.core.units import SAMPLE_RATE_HZ
from aednerf.media.audio import load_audio, probe_audio, read_audio, write_wav
from aednerf.media.video import VideoWriter

av = pytest.importorskip("av")


def tone(seconds: float, rate: int, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def make(path, channels: np.ndarray, rate: int, codec: str, sample_format: str, layout: str, starts=None):
    """Write [C, n] float samples with PyAV; `starts` is a time stamp in samples for each block of 1024."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout, stream.format = layout, sample_format
        for i, first in enumerate(range(0, channels.shape[1], 1024)):
            block = np.ascontiguousarray(channels[:, first : first + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = first if starts is None else starts[i]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "rate", "codec", "sample_format", "layout", "tolerance"),
    [
        ("a.wav", 48_000, "pcm_s24le", "s32", "stereo", 2e-3),
        ("a.wav", 32_000, "pcm_f32le", "flt", "mono", 2e-3),
        ("a.wav", 8_000, "pcm_u8", "u8", "mono", 2e-2),
        ("a.wav", 44_100, "pcm_s16le", "s16", "5.1", 2e-3),
        ("a.flac", 96_000, "flac", "s32", "stereo", 2e-3),
        ("a.mp4", 44_100, "aac", "fltp", "stereo", 5e-2),
        ("a.mp3", 44_100, "libmp3lame", "fltp", "stereo", 5e-2),
        ("a.webm", 48_000, "libopus", "flt", "stereo", 5e-2),
    ],
)
def test_any_sound_becomes_sixteen_kilohertz_mono(tmp_path, name, rate, codec, sample_format, layout, tolerance):
    seconds = 2.5
    n_channels = av.AudioLayout(layout).nb_channels
    path = make(tmp_path / name, np.tile(tone(seconds, rate), (n_channels, 1)), rate, codec, sample_format, layout)
    samples = load_audio(path)
    expected = tone(seconds, SAMPLE_RATE_HZ)
    # Opus and MP3 round up to their blocks where the container does not say how many samples are real.
    assert abs(len(samples) - len(expected)) <= (1 if name not in ("a.mp3", "a.webm") else 1300)
    inner = slice(2000, 38_000)
    assert np.abs(samples[inner] - expected[inner]).max() < tolerance
    info = probe_audio(path)
    assert (info.sample_rate_hz, info.channels) == (rate, n_channels)
    assert info.duration_s == pytest.approx(seconds, abs=0.1)


def test_stereo_is_the_mean_and_the_bass_channel_is_left_out(tmp_path):
    left = np.stack([tone(1, 16_000), np.zeros(16_000, np.float32)])
    samples = load_audio(make(tmp_path / "a.wav", left, 16_000, "pcm_s16le", "s16", "stereo"))
    assert np.abs(samples - left.mean(0)).max() < 1e-4
    bass = np.zeros((6, 16_000), np.float32)
    bass[3] = tone(1, 16_000)
    assert np.abs(load_audio(make(tmp_path / "b.wav", bass, 16_000, "pcm_s16le", "s16", "5.1"))).max() < 1e-4


def test_chunks_joined_are_the_whole_and_a_start_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, (1, 44_100 * 5)).astype(np.float32)
    path = make(tmp_path / "a.wav", noise, 44_100, "pcm_f32le", "flt", "mono")
    whole = load_audio(path)
    assert len(whole) == 5 * SAMPLE_RATE_HZ
    assert np.array_equal(np.concatenate(list(read_audio(path))), whole)
    assert np.array_equal(load_audio(path, max_s=1.5), whole[:24_000])
    part = np.concatenate(list(read_audio(path, start_s=2.0, max_s=1.0)))
    assert len(part) == SAMPLE_RATE_HZ and np.abs(part[100:] - whole[32_100:48_000]).max() < 1e-3


def test_a_hole_in_the_time_stamps_becomes_silence(tmp_path):
    starts = [1024 * i + (8000 if i >= 10 else 0) for i in range(32)]
    path = make(tmp_path / "a.mkv", tone(2.048, 16_000)[None], 16_000, "pcm_s16le", "s16", "mono", starts)
    samples = load_audio(path)
    assert abs(len(samples) - (32 * 1024 + 8000)) <= 16
    assert np.abs(samples[10_300:18_200]).max() < 1e-3 and np.abs(samples[18_400:18_900]).max() > 0.4


@pytest.mark.parametrize("offset_s", [-0.4, 0.0, 0.7])
def test_sound_keeps_its_place_against_the_picture(tmp_path, offset_s):
    """The container starts picture and sound at different times; sample t * 16000 belongs to the picture at t."""
    clicks = np.zeros(64_000, np.float32)
    clicks[16_000::16_000] = 1.0
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream("pcm_s16le", rate=16_000)
        video.width = video.height = 32
        video.pix_fmt, audio.layout = "yuv420p", "mono"
        shift = 12_800
        for i in range(100):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = i + 20, Fraction(1, 25)
            container.mux(video.encode(frame))
            block = av.AudioFrame.from_ndarray((clicks[None, i * 640 : i * 640 + 640] * 32767).astype(np.int16),
                                               format="s16", layout="mono")  # fmt: skip
            block.sample_rate, block.time_base = 16_000, Fraction(1, 16_000)
            block.pts = i * 640 + shift + round(offset_s * 16_000)
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    found = np.flatnonzero(load_audio(path) > 0.5)
    expected = np.array([16_000, 32_000, 48_000]) + offset_s * 16_000
    assert len(found) == 3 and np.abs(found - expected).max() <= 32  # Matroska counts in milliseconds


def test_a_clock_that_runs_slow_does_not_drift(tmp_path):
    """Ten minutes whose samples, counted, end 0.24 s before their time stamps: the time stamps win."""
    path = tmp_path / "a.mkv"
    rate, n_blocks = 11_025, 600
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate)
        stream.layout = "mono"
        for i in range(n_blocks):
            samples = np.zeros((1, rate), np.int16)
            samples[0, :50] = 20_000
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, 1000), round(i * 1000.4)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    position, onsets, loud = 0, [], False
    for chunk in read_audio(path):
        for index in np.flatnonzero(np.diff(np.concatenate([[loud], chunk > 0.3]).astype(int)) == 1):
            onsets.append(position + index)
        loud, position = bool(chunk[-1] > 0.3), position + len(chunk)
    truth = np.arange(n_blocks) * 1.0004 * SAMPLE_RATE_HZ
    assert len(onsets) == n_blocks
    assert np.abs(np.array(onsets) - truth).max() < 640  # one video frame


MEMORY = """
import resource, sys
from aednerf.media.audio import read_audio
next(read_audio(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n = sum(len(chunk) for chunk in read_audio(sys.argv[1]))
print(n, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_long_recording_streams_in_bounded_memory(tmp_path):
    with wave.open(str(tmp_path / "long.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        for _ in range(30):
            file.writeframes(np.zeros(2 * 16_000 * 30, np.int16).tobytes())
    write_wav(tmp_path / "short.wav", np.zeros(16_000, np.float32))
    result = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "long.wav"), str(tmp_path / "short.wav")],
                            check=True, capture_output=True, text=True)  # fmt: skip
    n, grown_mb = result.stdout.split()
    assert int(n) == 900 * SAMPLE_RATE_HZ  # as float32 that is 58 MB
    assert float(grown_mb) < 20


def test_wav_round_trip(tmp_path):
    samples = np.random.default_rng(1).uniform(-1, 1, 5000).astype(np.float32)
    samples[:4] = (-1.0, 1.0, 3.0, -3.0)
    write_wav(tmp_path / "a.wav", samples)
    clipped = np.clip(samples, -1, 1)
    for got in (load_audio(tmp_path / "a.wav"), np.concatenate(list(read_audio(tmp_path / "a.wav")))):
        assert got.dtype == np.float32 and np.abs(got - clipped).max() <= 1 / 32768 + 1e-7
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_own_wav_needs_no_pyav(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(1234, np.float32))
    code = ("import sys; sys.modules['av'] = None; from aednerf.media.audio import load_audio; "
            f"assert len(load_audio({str(tmp_path / 'a.wav')!r})) == 1234")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)


def test_bad_files_are_named_in_one_line(tmp_path):
    with VideoWriter(tmp_path / "silent.mp4", 32, 32) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "empty.wav").touch()
    (tmp_path / "words.txt").write_text("hello\n" * 100)
    (tmp_path / "noise.wav").write_bytes(np.random.default_rng(0).bytes(3000))
    with wave.open(str(tmp_path / "nothing.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    for name in ("silent.mp4", "empty.wav", "words.txt", "noise.wav", "nothing.wav", "missing.wav", "."):
        for read in (load_audio, lambda path: next(read_audio(path))):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no sound"):
        load_audio(tmp_path / "silent.mp4")


def test_real_speech(data):
    for name, seconds in [("deyu", 9.342667), ("lsp_00083", 11.456), ("RD_Radio31_000", 8.0), ("chinese_news", 8.0)]:
        samples = load_audio(data / "speech" / f"{name}.wav")
        assert abs(len(samples) - seconds * SAMPLE_RATE_HZ) <= 1 and 0.05 < np.abs(samples).max() <= 1
    assert len(load_audio(data / "talking" / "newsreader.mp4", max_s=2.0)) == 32_000
