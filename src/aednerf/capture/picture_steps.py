"""The steps that write pictures and sound: frames, backdrop, mattes, part labels, audio."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import islice, tee

import numpy as np
from numpy.typing import NDArray

from aednerf import assets
from aednerf.capture.capture import FRAMES_NAME, MATTE_NAME, PARTS_NAME
from aednerf.capture.job import Job
from aednerf.capture.manifest import Crop, train_end
from aednerf.capture.tracking_steps import cameras
from aednerf.core.errors import InputError
from aednerf.core.ordered import ahead, ordered_map, thread_count
from aednerf.core.units import FPS, SAMPLES_PER_FRAME
from aednerf.face.matte import refine_mattes
from aednerf.face.model import FaceModel
from aednerf.face.parts import PartGuides, guide_parts, split_parts
from aednerf.face.plate import Plate, estimate_plate
from aednerf.face.pose import Poses
from aednerf.face.segmenter import PersonSegmenter
from aednerf.media.audio import load_audio, write_wav
from aednerf.media.image import resize, write_image
from aednerf.media.video import LosslessGrayWriter, VideoWriter, read_video

Bytes = NDArray[np.uint8]

SILENCE = 1e-4
"""A sound whose largest sample is below this is no sound."""

CRF = 12
KEYFRAME_S = 1.0
_PLATE_FRAMES = 100


def write_frames(job: Job) -> None:
    """Write frames.mp4: every clip's pictures in sequence, each cropped to its square and resized."""
    done = 0
    with VideoWriter(job.folder / FRAMES_NAME, job.size, job.size, crf=CRF, keyframe_s=KEYFRAME_S) as writer:
        for clip, survey in zip(job.clips, job.surveys, strict=True):
            images = islice(read_video(clip.path, max_s=job.max_seconds), survey.n_frames)
            for number, image in enumerate(images, start=1):
                writer.write(resize(cropped(image, survey.crop), job.size, job.size))
                job.progress("frames", done + number, job.n_frames)
            done += survey.n_frames


def cropped(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Return the square of a picture, in whole pixels."""
    x, y, size = int(crop.x), int(crop.y), int(crop.size)
    return image[y : y + size, x : x + size]


def cut_out_person(job: Job) -> None:
    """Write each clip's clean backdrop, and the mattes and part labels of all frames."""
    model = FaceModel.load(assets.find("ict_facekit"))
    landmarks, identity, rotation, translation = (
        *job.load("landmarks", "points"), *job.load("fit", "identity", "rotation", "translation")
    )  # fmt: skip
    vertices, poses = model.person(identity).neutral, Poses(rotation, translation)
    plates: list[Plate] = []
    with contextlib.ExitStack() as stack:
        network = assets.find("selfie_segmenter")
        segmenters = [stack.enter_context(PersonSegmenter(network)) for _ in range(thread_count())]
        mattes = stack.enter_context(LosslessGrayWriter(job.folder / MATTE_NAME, job.size, job.size))
        parts = stack.enter_context(LosslessGrayWriter(job.folder / PARTS_NAME, job.size, job.size))
        for index, (first, end) in enumerate(job.ranges):
            whole = _estimate_plate(job, index, first, end, segmenters)
            plates.append(whole)
            images = job.frames(index)()
            for shot_first, shot_end, name in job.shots(index):
                plate = whole
                if (shot_first, shot_end) != (first, end):
                    plate = _shot_plate(whole, _estimate_plate(job, index, shot_first, shot_end, segmenters))
                _write_plate(job, name, plate)
                shot = slice(shot_first, shot_end)
                guides = guide_parts(landmarks[shot], vertices, poses[shot], cameras(job)[index])
                cut_out = _cut_out(islice(images, shot_end - shot_first), segmenters, plate, guides)
                for number, (alpha, labels) in enumerate(cut_out, start=shot_first + 1):
                    mattes.write(alpha)
                    parts.write(labels)
                    job.progress("mattes", number, job.n_frames)
    job.save("backdrop", seen=[plate.seen for plate in plates], motion=[plate.motion for plate in plates])


def _write_plate(job: Job, name: str, plate: Plate) -> None:
    path = job.folder / name
    path.parent.mkdir(exist_ok=True)
    write_image(path, plate.rgb)


def _shot_plate(whole: Plate, own: Plate) -> Plate:
    """Return a shot's backdrop, with the clip's where the shot itself never shows it."""
    is_seen = (own.samples > 0)[..., None]
    return replace(own, rgb=np.where(is_seen, own.rgb, whole.rgb))


def _estimate_plate(job: Job, index: int, first: int, end: int, segmenters: list[PersonSegmenter]) -> Plate:
    """Estimate the backdrop of a clip's frames `[first, end)` from some of them.

    They are of kept shots and of the training part, so that no score rests on test frames, unless there are none.
    """
    frames = np.arange(end - first)
    is_kept = job.kept()[first:end]
    is_kept = is_kept if is_kept.any() else np.ones_like(is_kept)
    is_training = frames + first < train_end(*job.ranges[index])
    kept = frames[is_kept & is_training] if (is_kept & is_training).any() else frames[is_kept]
    chosen = set(kept[np.unique(np.linspace(0, len(kept) - 1, _PLATE_FRAMES).round().astype(int))].tolist())
    skipped = first - job.ranges[index][0]

    def images() -> Iterator[Bytes]:
        for number, image in enumerate(islice(job.frames(index)(), skipped, skipped + end - first)):
            if number in chosen:
                job.progress("backdrop", first + number + 1, job.n_frames)
                yield image

    for_plate, for_network = tee(images())
    return estimate_plate(for_plate, ordered_map([each.segment for each in segmenters], for_network))


def _cut_out(
    images: Iterator[Bytes], segmenters: list[PersonSegmenter], plate: Plate, guides: PartGuides
) -> Iterator[tuple[Bytes, Bytes]]:
    """Yield alpha and part labels of each frame; mattes and labels are made in a thread each, few frames are held."""

    def with_network(segmenter: PersonSegmenter) -> Callable[[Bytes], tuple[Bytes, Bytes]]:
        return lambda image: (image, segmenter.segment(image))

    def with_matte() -> Generator[tuple[Bytes, Bytes], None, None]:
        first, second, third = tee(ordered_map([with_network(each) for each in segmenters], images), 3)
        alphas = refine_mattes((image for image, _ in first), (coarse for _, coarse in second), plate)
        yield from zip((image for image, _ in third), alphas, strict=True)

    with ahead(with_matte()) as matted:
        first, second, third = tee(matted, 3)
        labels = split_parts((image for image, _ in first), (alpha for _, alpha in second), guides)
        yield from zip((alpha for _, alpha in third), labels, strict=True)


def write_sound(job: Job) -> None:
    """Write audio/<clip>.wav, exactly as long as the clip's frames; a clip without sound gets none."""
    for number, (name, clip, survey) in enumerate(zip(job.names, job.clips, job.surveys, strict=True), start=1):
        path = job.folder / "audio" / f"{name}.wav"
        path.unlink(missing_ok=True)
        if survey.info.has_audio:
            length = survey.n_frames * SAMPLES_PER_FRAME
            try:
                samples = load_audio(clip.path, max_s=survey.n_frames / FPS)[:length]
            except InputError:
                samples = np.zeros(0, np.float32)  # a sound track that cannot be decoded is as good as none
            if len(samples) and np.abs(samples).max() > SILENCE:
                write_wav(path, np.pad(samples, (0, length - len(samples))))
        job.progress("sound", number, len(job.names))
