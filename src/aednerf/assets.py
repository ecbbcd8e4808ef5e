"""Third-party models: what they are, where they come from, where they lie on this machine, and whether they are whole.

A model is looked for in the folders of `AEDNERF_ASSETS` (separated as in `PATH`), then in the cache
(`AEDNERF_CACHE`, or the user's cache folder), and is then downloaded from its publisher into the cache.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aednerf.core.errors import InputError, MachineError
from aednerf.core.files import sha256_of
from aednerf.core.progress import Progress, silent
from aednerf.ict_facekit import ARRAYS_SHA256, arrays_sha256, pack


@dataclass(frozen=True)
class AssetFile:
    """One file that can serve as an asset, and how it is told from a wrong one."""

    name: str
    sha256: str | None = None
    """None where the publisher's file may change: then only its format and size are checked."""

    n_bytes: int = 0
    """Its size; without a digest a file of half to twice this size is accepted."""

    arrays_sha256: str | None = None
    """For an `.npz`: the digest of its arrays, which any packing of the same numbers matches."""


@dataclass(frozen=True)
class Asset:
    """A third-party model: any one of its files will do."""

    name: str
    purpose: str
    files: tuple[AssetFile, ...]
    """In the order of preference; the first is the one that a download makes."""

    url: str
    licence: str
    publisher: str


ICT_COMMIT = "c99ad27d03f60937466dc62c5f62ef25529958c9"

ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            "face_landmarker",
            "finds faces, 478 landmarks and first guesses of the expression",
            (
                AssetFile(
                    "face_landmarker.task",
                    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
                    n_bytes=3_758_596,
                ),
            ),
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
            "face_landmarker.task",
            "Apache-2.0",
            "Google (MediaPipe)",
        ),
        Asset(
            "selfie_segmenter",
            "separates the person from the background",
            (
                # The publisher's address ends in `latest`, so that its digest cannot be fixed.
                AssetFile("selfie_segmenter.tflite", n_bytes=249_505),
                AssetFile(
                    "selfie_segmentation.tflite",
                    sha256="9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
                    n_bytes=249_505,
                ),
            ),
            "https://storage.googleapis.com/mediapipe-models/image_segmenter/selfie_segmenter/float16/latest/"
            "selfie_segmenter.tflite",
            "Apache-2.0",
            "Google (MediaPipe)",
        ),
        Asset(
            "ict_facekit",
            "the face model: identity, expressions, teeth and eyeballs",
            (AssetFile("ict_facekit_light.npz", n_bytes=16_576_948, arrays_sha256=ARRAYS_SHA256),),
            f"https://github.com/ICT-VGL/ICT-FaceKit/archive/{ICT_COMMIT}.zip",
            "MIT",
            "USC Institute for Creative Technologies",
        ),
    )
}
"""Every third-party model that the program uses, by name."""


def asset(name: str) -> Asset:
    """Return the asset of a name, or of the name of one of its files.

    Raises:
        InputError: there is none.
    """
    for candidate in ASSETS.values():
        if name in (candidate.name, *(file.name for file in candidate.files)):
            return candidate
    raise InputError(f"Unknown asset {name!r}. The assets are: {', '.join(ASSETS)}.")


def search_folders() -> list[Path]:
    """Return where assets are looked for: the folders of `AEDNERF_ASSETS`, then the cache."""
    named = [Path(folder) for folder in os.environ.get("AEDNERF_ASSETS", "").split(os.pathsep) if folder]
    return [*named, cache_folder()]


def cache_folder() -> Path:
    """Return where downloads are kept: `AEDNERF_CACHE`, or the user's cache folder."""
    named = os.environ.get("AEDNERF_CACHE")
    if named:
        return Path(named)
    import pooch

    return Path(pooch.os_cache("aednerf"))


def locate(name: str) -> Path | None:
    """Return where an asset lies on this machine, checked, or None where it has to be downloaded.

    Raises:
        InputError: a file of its name is not what the publisher issued.
    """
    files = asset(name).files
    for folder in search_folders():
        for file in files:
            path = folder / file.name
            if path.is_file():
                _verify(path, file)
                return path
    return None


def find(name: str, progress: Progress = silent) -> Path:
    """Return the path of an asset, downloading it into the cache where it is nowhere on this machine.

    Args:
        name: the asset's name (`face_landmarker`, `selfie_segmenter`, `ict_facekit`) or its file's.
        progress: is told of a download as it goes, in bytes (a total of 0 where the server does not say).

    Raises:
        InputError: the name is unknown, or a file of that name is not what the publisher issued.
        MachineError: the download failed; the text says from where, and where to put the file by hand.
    """
    return locate(name) or _download(asset(name), progress)


def state(name: str) -> str:
    """Say in a few words where an asset is: a path, `missing`, or what is wrong with the file that is there."""
    try:
        path = locate(name)
    except InputError as error:
        return f"refused: {error}"
    return str(path) if path else "missing"


def pack_ict_facekit(source: str | Path, out: str | Path) -> Path:
    """Pack a download of ICT-FaceKit (its folder FaceXModel, or its zip archive) and check the result.

    Raises:
        InputError: files are missing, or are of another version than the one that this program knows.
    """
    out = pack(source, out)
    try:
        _verify(out, ASSETS["ict_facekit"].files[0])
    except InputError:
        out.unlink()
        raise InputError(
            f"{source} is another version of ICT-FaceKit than this program knows. Take {ASSETS['ict_facekit'].url}."
        ) from None
    return out


def _verify(path: Path, file: AssetFile) -> None:
    """Raise InputError unless `path` is what `file` says."""
    if file.arrays_sha256:
        kind, expected, got = "SHA-256 of its arrays", file.arrays_sha256, arrays_sha256(path)
    elif file.sha256:
        kind, expected, got = "SHA-256", file.sha256, sha256_of(path)
    else:
        with open(path, "rb") as opened:
            magic = opened.read(8)[4:]
        size = path.stat().st_size
        if magic != b"TFL3" or not file.n_bytes // 2 <= size <= file.n_bytes * 2:
            raise InputError(
                f"{path} is not the expected TFLite model: {size} bytes starting with {magic!r}, expected about "
                f"{file.n_bytes} with b'TFL3'. Delete it, to have it downloaded again."
            )
        return
    if got != expected:
        raise InputError(
            f"{path} is not the file that its publisher issued: expected {kind} {expected}, got {got}. "
            "Delete it, to have it downloaded again."
        )


def _download(wanted: Asset, progress: Progress) -> Path:
    """Download an asset into the cache, verified, and return its path."""
    import pooch
    import requests

    file = wanted.files[0]
    target = cache_folder() / file.name
    is_packed = file.arrays_sha256 is not None
    download_name = f"{wanted.name}.zip" if is_packed else file.name
    pooch.get_logger().setLevel("WARNING")
    # pooch's annotations know neither a bar of one's own nor its own downloader; its documentation has both.
    downloader: Any = pooch.HTTPDownloader(progressbar=cast(Any, _Bar(f"download {wanted.name}", progress)), timeout=30)
    try:
        downloaded = Path(
            pooch.retrieve(
                wanted.url, known_hash=file.sha256, fname=download_name, path=target.parent, downloader=downloader,
            )
        )  # fmt: skip
        if is_packed:
            pack_ict_facekit(downloaded, target)
            downloaded.unlink()
        else:
            _verify(target, file)
    except (requests.RequestException, OSError, ValueError, InputError) as error:
        (target.parent / download_name).unlink(missing_ok=True)
        packing = f"run `aednerf assets pack-ict {download_name} -o {file.name}` and put the result"
        is_offline = isinstance(error, requests.ConnectionError | requests.Timeout)
        reason = "no connection" if is_offline else " ".join(str(error).split())
        raise MachineError(
            f"Could not download {wanted.name} ({wanted.purpose}) from {wanted.url}: {reason}. "
            f"Fetch it by hand, {packing if is_packed else 'put it'} into {target.parent}."
        ) from None
    return target


class _Bar:
    """What pooch calls while it downloads (the part of tqdm's interface that it uses), handed on to a callback."""

    def __init__(self, step: str, progress: Progress) -> None:
        self.step, self.progress = step, progress
        self.total, self.done = 0, 0

    def update(self, n_bytes: int) -> None:
        self.done += n_bytes
        self.progress(self.step, self.done, int(self.total or 0))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
