"""An avatar speaks: frames, files, scenes and delivery, with a person and a voice without networks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aednerf.avatar.avatar import Avatar
from aednerf.avatar.background import LoopedVideo, composite, cover, enlarge, parse_background
from aednerf.avatar.camera import View
from aednerf.avatar.output import Overlapped, straight_alpha
from aednerf.avatar.sound import Sound
from aednerf.core.errors import InputError
from aednerf.core.records import ARKIT_NAMES, EMOTIONS, Emotion, Motion
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from aednerf.emotion.space import EmotionTrack
from aednerf.media.audio import load_audio, write_wav
from aednerf.media.image import read_image, write_image
from aednerf.media.video import VideoWriter, decode_frames, probe
from aednerf.motion.channels import BLINK_COLUMNS, JAW_OPEN
from aednerf.motion.files import save_motion
from fake_avatar import MEAN_POSITION, N_RESIDUAL, FakePerson, FakeVoice, fake_bundle

SIZE = 32
BROW = ARKIT_NAMES.index("browInnerUp")


def avatar(size: int = SIZE) -> Avatar:
    return Avatar(fake_bundle(size), FakePerson(), FakeVoice())


def tone(seconds: float) -> np.ndarray:
    """Return a sound that grows from silence, so that every frame has its own loudness."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (np.sin(2 * np.pi * 440 * time) * time / seconds * 0.5).astype(np.float32)


def still(n: int) -> Motion:
    rotation = np.tile(np.eye(3, dtype=np.float32), (n, 1, 1))
    expression, residual = np.zeros((n, 52), np.float32), np.zeros((n, N_RESIDUAL), np.float32)
    return Motion(expression, residual, rotation, np.tile(MEAN_POSITION, (n, 1)))


def middle(rgba: np.ndarray) -> np.ndarray:
    return rgba[rgba.shape[0] // 2 - 2, rgba.shape[1] // 2]


def test_frames_follow_the_sound() -> None:
    frames = list(avatar().stream(tone(1.0)))
    assert [round(frame.time_s * 25) for frame in frames] == list(range(25))
    greens = [int(middle(frame.rgba)[1]) for frame in frames]
    assert greens[0] < 10 and greens[-1] > 60 and sorted(greens) == greens
    assert all(frame.rgba.dtype == np.uint8 and frame.rgba.shape == (SIZE, SIZE, 4) for frame in frames)
    assert (frames[0].rgba[..., 3] == 255).all()
    assert frames[0].rgba[0, 0].tolist() == [0, 0, 200, 255]  # the plate


def test_speak_saves_what_stream_yields(tmp_path: Path) -> None:
    sound = tone(1.2)
    write_wav(tmp_path / "in.wav", sound)
    steps: list[tuple[int, int]] = []
    speech = avatar(64).speak(tmp_path / "in.wav", emotion="happy", intensity=0.5)
    path = speech.save(tmp_path / "out.mp4", progress=lambda step, done, total, note="": steps.append((done, total)))
    info = probe(path)
    assert (info.width, info.height, info.codec, info.has_audio) == (64, 64, "h264", True)
    saved = list(decode_frames(path))
    streamed = [frame.rgba[..., :3] for frame in avatar(64).stream(tmp_path / "in.wav")]
    assert len(saved) == len(streamed) == 30 and steps == [(i, 30) for i in range(1, 31)]
    for ours, theirs in zip(saved, streamed, strict=True):
        assert np.abs(middle(ours).astype(int) - middle(theirs)).max() < 12
    heard = load_audio(path)
    assert abs(len(heard) - len(sound)) < 2 * SAMPLES_PER_FRAME
    assert np.corrcoef(heard[: len(sound) - 2000], sound[: len(sound) - 2000])[0, 1] > 0.95
    import av

    with av.open(str(path)) as container:
        assert "synthetic" in container.metadata["comment"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "out.mp4"]


@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_transparent_files(tmp_path: Path, suffix: str) -> None:
    import av

    path = avatar().speak(tone(0.4), background="transparent").save(tmp_path / f"out{suffix}")
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        decoder = av.CodecContext.create("libvpx-vp9" if suffix == ".webm" else "prores", "r")
        decoder.extradata = container.streams.video[0].codec_context.extradata
        packets = list(container.demux(container.streams.video[0]))
        frames = [f.to_ndarray(format="rgba") for packet in packets for f in decoder.decode(packet)]  # type: ignore[attr-defined]
        assert "synthetic" in {k.lower(): v for k, v in container.metadata.items()}["comment"]
    assert len(frames) == 10
    assert frames[-1][0, 0, 3] < 8 and middle(frames[-1])[3] > 247 and abs(int(middle(frames[-1])[0]) - 128) < 12


def test_a_folder_of_pngs_with_straight_alpha_and_sound(tmp_path: Path) -> None:
    sound = tone(0.4)
    folder = avatar().speak(sound, background="transparent").save(tmp_path / "frames")
    names = sorted(p.name for p in folder.iterdir())
    assert names == [*(f"{i:06}.png" for i in range(10)), "audio.wav", "frames.json"]
    picture = read_image(folder / "000009.png")
    assert picture.shape == (SIZE, SIZE, 4) and picture[0, 0, 3] == 0 and middle(picture)[3] == 255
    assert np.allclose(load_audio(folder / "audio.wav"), sound, atol=1e-4)
    assert "synthetic" in json.loads((folder / "frames.json").read_text())["synthetic"]
    with pytest.raises(InputError, match="--force"):
        avatar().speak(sound).save(folder)
    avatar().speak(sound[:1280]).save(folder, force=True)
    assert len(list(folder.glob("*.png"))) == 2


def test_straight_alpha_undoes_the_multiplication() -> None:
    rgba = np.array([[[100, 50, 0, 128], [0, 0, 0, 0], [255, 9, 1, 255]]], np.uint8)
    assert straight_alpha(rgba)[0].tolist() == [[199, 100, 0, 128], [0, 0, 0, 0], [255, 9, 1, 255]]


def test_transparency_in_mp4_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.webm, \.mov, or a folder"):
        avatar().speak(tone(0.4), background="transparent").save(tmp_path / "out.mp4")
    with pytest.raises(InputError, match="Unknown kind of output 'out.gif'"):
        avatar().speak(tone(0.4)).save(tmp_path / "out.gif")


def test_outputs_are_not_overwritten_and_failures_leave_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_text("mine")
    with pytest.raises(InputError, match="--force"):
        avatar().speak(tone(0.4)).save(out)
    assert out.read_text() == "mine"

    def broken() -> Iterator[np.ndarray]:
        yield tone(0.4)
        raise InputError("the line went dead")

    for target in (out, tmp_path / "new.mp4", tmp_path / "folder"):
        with pytest.raises(InputError, match="line went dead"):
            avatar().speak(broken()).save(target, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"] and out.read_text() == "mine"
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_text("dear")
    with pytest.raises(InputError, match="something other"):
        avatar().speak(tone(0.4)).save(tmp_path / "holiday", force=True)


def test_a_failing_encoder_stops_the_rendering() -> None:
    class Full:
        def write(self, rgba: np.ndarray) -> None:
            raise OSError(28, "No space left on device")

        def write_audio(self, samples: np.ndarray) -> None:
            pass

    n_written = 0
    with pytest.raises(OSError, match="No space"), Overlapped(Full()) as sink:
        for _ in range(1000):
            sink.write(np.zeros((2, 2, 4), np.uint8))
            n_written += 1
    assert n_written < 100 and not any(t.name == "aednerf-output" for t in threading.enumerate())


def test_empty_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to say"):
        avatar().speak(np.zeros(0, np.float32)).save(tmp_path / "out.mp4")
    with pytest.raises(InputError, match="nothing to say"):
        avatar().speak(np.zeros(0, np.float32)).motion  # noqa: B018
    assert not list(tmp_path.iterdir())


def test_a_path_that_is_no_sound_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    for name in ("text.wav", "nothing.wav"):
        with pytest.raises(InputError):
            avatar().speak(tmp_path / name)


def test_a_stream_is_lazy_and_spoken_once() -> None:
    n_read = 0

    def microphone() -> Iterator[np.ndarray]:
        nonlocal n_read
        while True:
            n_read += 1
            yield np.zeros(SAMPLES_PER_FRAME, np.float32)

    frames = avatar().stream(microphone())
    next(frames)
    next(frames)
    assert n_read <= 3
    speech = avatar().speak(iter([tone(0.2)]))
    assert speech.n_frames is None and len(list(speech.frames())) == 5
    with pytest.raises(InputError, match="only once"):
        list(speech.frames())


@pytest.mark.parametrize("bad", [np.zeros((10, 2), np.float32), np.zeros(10, np.int16)])
def test_other_samples_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="mono float samples"):
        avatar().speak(bad)
    with pytest.raises(InputError, match="mono float samples"):
        list(Sound([bad]).chunks())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emotion": "hungry"}, "Unknown emotion"), ({"emotion": "happy", "intensity": 2}, "intensity"),
        ({"emotion": "happy", "emotion_track": "x.json"}, "Give one of them"),
        ({"emotion_track": "x.json"}, "does not exist"),
        ({"mouth_gain": -1}, "mouth gain"), ({"mouth_gain": float("nan")}, "mouth gain"),
        ({"audio_offset_s": 60}, "offset"),
        ({"size": 33}, "even number"), ({"size": 0}, "even number"), ({"size": 10_000}, "even number"),
        ({"camera": "up"}, "Unknown camera"), ({"background": "beach"}, "no such file"),
        ({"background": "#12345"}, "no such"),
        ({"expression": "nowhere.json"}, "does not exist"), ({"seed": -1}, "seed"),
        ({"expression": {"smile": 1}}, "Unknown expression 'smile'"), ({"expression": {"jawOpen": 3}}, "number in"),
    ],
)  # fmt: skip
def test_bad_options_are_refused_before_anything_is_rendered(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        avatar().speak(tone(0.2), **options)


class Recording(FakeVoice):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[EmotionTrack, dict]] = []

    def generate(self, chunks: Iterable[np.ndarray], emotion: EmotionTrack, **options: Any) -> Iterator[Motion]:
        self.asked.append((emotion, options))
        return super().generate(chunks, emotion, **options)


def test_emotions_reach_the_voice() -> None:
    voice = Recording()
    person = Avatar(fake_bundle(), FakePerson(), voice)
    track = EmotionTrack((0.0, 1.0), (Emotion.of("sad"), Emotion.of("happy")))
    for options in ({}, {"emotion": "angry", "intensity": 0.5}, {"emotion": Emotion.of("fear")}, {"emotion": track}):
        list(person.stream(tone(0.2), **options))
    vectors = [emotion.at(0.0) for emotion, _ in voice.asked]
    assert [EMOTIONS[int(v.argmax())] for v in vectors[::2]] == ["neutral", "fear"]
    assert vectors[1][EMOTIONS.index("angry")] == 0.5 and voice.asked[3][0] is track


def test_options_reach_the_voice() -> None:
    voice = Recording()
    person = Avatar(fake_bundle(), FakePerson(), voice)
    speech = person.speak(tone(0.2), mouth_gain=0.5, audio_offset_s=-0.1, blink=False, seed=7)
    assert not voice.asked  # nothing happens before it is asked for
    assert speech.motion.expression[:, BLINK_COLUMNS].max() == 0
    assert voice.asked[0][1] == {"mouth_gain": 0.5, "audio_offset_s": -0.1, "blink": False, "seed": 7}


def test_an_expression_is_added_and_a_motion_held_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "brow.json").write_text('{"browInnerUp": 0.25}')
    for spec in ({"browInnerUp": 0.25}, tmp_path / "brow.json"):
        assert np.allclose(avatar().speak(tone(0.2), expression=spec).motion.expression[:, BROW], 0.25)
    motion = still(3)
    motion.expression[:, BROW] = (0.1, 0.2, 0.3)
    save_motion(tmp_path / "brow.npz", motion)
    for spec in (motion, tmp_path / "brow.npz"):
        spoken = avatar().speak(tone(2.2), expression=spec).motion.expression[:, BROW]
        assert np.allclose(spoken[:4], (0.1, 0.2, 0.3, 0.3)) and np.allclose(spoken[3:], 0.3)
    loud = avatar().speak(tone(0.4), expression={"jawOpen": 1}).motion.expression
    assert loud[:, JAW_OPEN].max() == 1


def test_render_shows_given_motion_without_sound(tmp_path: Path) -> None:
    motion = still(4)
    motion.expression[:, JAW_OPEN] = (0, 0.25, 0.5, 1)
    speech = avatar().render(motion)
    assert [int(middle(frame.rgba)[1]) for frame in speech.frames()] == [0, 64, 128, 255] and speech.n_frames == 4
    assert not probe(speech.save(tmp_path / "out.mp4")).has_audio
    with pytest.raises(InputError, match="at least one frame"):
        avatar().render(motion[:0])
    other = Motion(motion.expression, np.zeros((4, 7), np.float32), motion.rotation, motion.translation)
    with pytest.raises(InputError, match="7 numbers, expected 4"):
        avatar().render(other)
    without = Motion(motion.expression, np.zeros((4, 0), np.float32), motion.rotation, motion.translation)
    assert len(list(avatar().render(without).frames())) == 4


def test_a_posture_is_fitted_to_the_avatar() -> None:
    motion = replace(still(4), posture=np.ones((4, 3), np.float32))
    person = avatar()
    assert person.fitted(motion).posture.shape == (4, 0)  # this person has none
    person.model.config.n_posture = 3
    assert person.fitted(motion).posture.shape == (4, 3) and person.fitted(still(4)).posture.shape == (4, 0)
    with pytest.raises(InputError, match="posture code has 2 numbers, expected 3"):
        person.fitted(replace(motion, posture=motion.posture[:, :2]))


@pytest.mark.parametrize("name", ["motion.npz", "motion.csv"])
def test_a_motion_goes_through_a_file(tmp_path: Path, name: str) -> None:
    motion = avatar().speak(tone(0.4)).motion
    save_motion(tmp_path / name, motion)
    frames = zip(avatar().render(motion).frames(), avatar().render(tmp_path / name).frames(), strict=True)
    assert all(np.array_equal(a.rgba, b.rgba) for a, b in frames)


def test_an_avatar_without_a_voice_renders_but_does_not_speak() -> None:
    silent = Avatar(fake_bundle(), FakePerson(), None)
    assert len(list(silent.render(still(2)).frames())) == 2
    with pytest.raises(InputError, match="no motion network"):
        silent.speak(tone(0.2))


def test_size_scales_the_picture() -> None:
    small, large = (next(avatar().render(still(1), size=size).frames()).rgba for size in (None, 64))
    assert large.shape == (64, 64, 4)
    assert np.abs(large[::2, ::2, :3].astype(int) - small[..., :3]).mean() < 8


def test_the_head_turns_and_the_torso_stays() -> None:
    motion = still(1)
    motion.translation[0, 0] += 0.1  # the head stands beside the middle, so that yaw moves it
    front, side = (next(avatar(64).render(motion, camera=c).frames()).rgba for c in ("front", "yaw=60"))
    assert not np.array_equal(front[:40], side[:40])
    assert np.array_equal(front[60:], side[60:])


def test_zoom_enlarges_person_and_plate_about_the_middle() -> None:
    bundle = fake_bundle(64)
    bundle.background[:8] = 255
    person = Avatar(bundle, FakePerson(), None)
    near = next(person.render(still(1), camera="zoom=2").frames()).rgba
    plain = next(person.render(still(1)).frames()).rgba
    far = next(person.render(still(1), camera="zoom=0.5").frames()).rgba
    head = [(picture[..., 0] == 128).sum() for picture in (far, plain, near)]
    assert head[1] == pytest.approx(4 * head[0], rel=0.1) and head[2] > 2.5 * head[1]
    assert (near[0, 0, :3] == (0, 0, 200)).all() and near.shape == (64, 64, 4)
    colour = next(person.render(still(1), camera=View(zoom=2), background="#102030").frames()).rgba
    assert colour[0, 0].tolist() == [16, 32, 48, 255]


def test_backgrounds(tmp_path: Path) -> None:
    picture = np.zeros((10, 40, 3), np.uint8)
    picture[:, 15:25] = (9, 99, 199)
    write_image(tmp_path / "wall.png", picture)
    frame = next(avatar().render(still(1), background=tmp_path / "wall.png").frames()).rgba
    assert np.abs(frame[0, 10:22, :3].astype(int) - (9, 99, 199)).max() < 3  # the middle of the wide picture
    half = np.dstack([np.full((8, 8, 3), 200, np.uint8), np.full((8, 8), 128, np.uint8)])
    write_image(tmp_path / "glass.png", half)
    glass = next(avatar().render(still(1), background=tmp_path / "glass.png").frames()).rgba
    assert glass[0, 0].tolist() == [100, 100, 100, 255]
    clear = next(avatar().render(still(1), background="transparent").frames()).rgba
    assert clear[0, 0].tolist() == [0, 0, 0, 0] and middle(clear)[3] == 255
    given = next(avatar().render(still(1), background=np.full((4, 4, 3), 7, np.uint8)).frames()).rgba
    assert given[0, 0].tolist() == [7, 7, 7, 255]
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.png", "text.mp4"):
        with pytest.raises(InputError):
            avatar().render(still(1), background=tmp_path / name)


def test_a_background_video_is_looped(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "waves.mp4", 32, 32, crf=1) as writer:
        for level in (50, 100, 200):
            writer.write(np.full((32, 32, 3), level, np.uint8))
    frames = avatar().render(still(7), background=tmp_path / "waves.mp4").frames()
    levels = [int(frame.rgba[0, 0, 0]) for frame in frames]
    assert np.abs(np.array(levels) - [50, 100, 200, 50, 100, 200, 50]).max() <= 2
    assert isinstance(parse_background(tmp_path / "waves.mp4", 8, 8, np.zeros((8, 8, 3), np.uint8)), LoopedVideo)


def test_pictures_are_composited_and_fitted() -> None:
    rgba = torch.tensor([[[0.25, 0.0, 0.0, 0.5]]])
    assert composite(rgba, None)[0, 0].tolist() == [64, 0, 0, 128]
    assert composite(rgba, np.full((1, 1, 3), 100, np.uint8))[0, 0].tolist() == [114, 50, 50, 255]
    assert cover(np.zeros((7, 5, 3), np.uint8), 32, 16).shape == (16, 32, 3)
    assert cover(np.zeros((700, 500, 3), np.uint8), 32, 16).shape == (16, 32, 3)
    flat = np.full((8, 8, 3), 33, np.uint8)
    assert np.array_equal(enlarge(flat, 0.5), flat) and np.array_equal(enlarge(flat, 3), flat)


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_ten_minutes_take_no_more_memory_than_seconds(tmp_path: Path) -> None:
    def sound(seconds: int) -> Iterator[np.ndarray]:
        for _ in range(seconds):
            yield np.random.default_rng(0).uniform(-0.1, 0.1, SAMPLE_RATE_HZ).astype(np.float32)

    person = avatar(16)
    list(person.stream(sound(10)))
    before = peak = resident_mb()
    n_frames = 0
    for n_frames, _ in enumerate(person.stream(sound(600)), start=1):  # noqa: B007
        if n_frames % 100 == 0:
            peak = max(peak, resident_mb())
    # The sound alone would be 38 MB, the frames as bytes 15 and as floats 61.
    assert n_frames == 15_000 and peak - before < 10


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_saving_holds_no_frames(tmp_path: Path) -> None:
    peak = 0.0

    def watch(step: str, done: int, total: int, note: str = "") -> None:
        nonlocal peak
        if done % 50 == 0:
            peak = max(peak, resident_mb())

    person, motion = avatar(), still(1000)
    person.render(still(50), size=256).save(tmp_path / "short.mp4")
    before = resident_mb()
    person.render(motion[:300], size=256).save(tmp_path / "long.mp4", progress=watch)
    # 300 frames of 256 x 256 are 79 MB; eight wait for the encoder, which keeps some forty for itself.
    assert peak - before < 40
