"""The commands. A command is a typed function below; its signature is its command line, its docstring the help.

What a command needs is imported when it runs, so that `aednerf -h` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes, Positional, Suppress, arg, subcommand

from aednerf.core.errors import AednerfError, InputError

if TYPE_CHECKING:
    from aednerf.avatar.speech import Speech

Out = Annotated[Path, arg(aliases=["-o"])]
Device = Literal["auto", "cpu", "cuda"]


def doctor(*, json: bool = False) -> int:
    """Say what this machine can do, which third-party models are missing, and how to get them.

    The exit code is 0 where the program is usable, be it with warnings, and 1 otherwise.

    Args:
        json: print the findings as JSON.
    """
    from aednerf.doctor import examine, is_usable

    findings = examine(Path.cwd())
    if json:
        from dataclasses import asdict
        from json import dumps

        print(dumps({"usable": is_usable(findings), "findings": [asdict(finding) for finding in findings]}, indent=2))
        return not is_usable(findings)

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    colour = {"ok": "green", "warning": "yellow", "failure": "red"}
    for finding in findings:
        text = "\n".join(filter(None, (finding.text, finding.advice)))
        table.add_row(f"[{colour[finding.state]}]{finding.state}[/]", finding.name, text)
    console = Console(highlight=False)
    console.print(table)
    console.print("Ready." if is_usable(findings) else "Not ready: see the failures above.")
    return not is_usable(findings)


def assets_list() -> None:
    """List the third-party models: licence, publisher, and where each lies."""
    from aednerf import assets

    for asset in assets.ASSETS.values():
        print(f"{asset.name}: {asset.purpose} ({asset.publisher}, {asset.licence})")
        print(f"    {assets.state(asset.name)}\n    {asset.url}")


def assets_get(names: Positional[tuple[str, ...]] = ()) -> None:
    """Download the third-party models that are missing, and check them.

    Args:
        names: which ones; all where none is named.
    """
    from aednerf import assets
    from aednerf.terminal import Steps

    with Steps() as steps:
        paths = [assets.find(name, steps) for name in names or assets.ASSETS]
    print(*paths, sep="\n")


def assets_pack_ict(source: Positional[Path], /, *, out: Out) -> None:
    """Pack your own download of ICT-FaceKit (its folder FaceXModel, or its zip archive) for this program.

    For example: aednerf assets pack-ict ICT-FaceKit/FaceXModel -o ict_facekit_light.npz

    Args:
        source: the folder with the OBJ files, or the archive.
        out: the .npz file to write; put it into a folder that AEDNERF_ASSETS names.
    """
    from aednerf.assets import pack_ict_facekit

    print(pack_ict_facekit(source, out))


def demo(*, out: Out = Path("demo"), train: bool = False, device: Device = "auto", force: bool = False) -> None:
    """Let the computer-generated person who comes with the program speak: four emotions, an orbit, two backgrounds.

    Needs no network, no third-party model and no GPU: some minutes on a processor.

    For example: aednerf demo -o demo

    Args:
        out: the folder of the results: a video and a contact sheet of it.
        train: first train the avatar again, from the recording that comes with the program as well.
        device: where to compute; auto takes the GPU where there is one.
        force: replace results that exist, and an avatar that an earlier --train made.
    """
    from aednerf.synthetic.demo import demo as run
    from aednerf.synthetic.demo import usual_preset
    from aednerf.terminal import Steps

    with Steps() as steps:
        made = run(out, usual_preset(device) if train else None, device, force, steps)
    print(f"{made.video}: the video ({made.n_frames} pictures in {made.seconds:.0f} s)")
    print(f"{made.sheet}: the same at a glance")
    print("\nTry next:", *made.suggestions(), sep="\n    ")


def prepare(
    videos: Annotated[tuple[str, ...], Positional, arg(metavar="VIDEO[:EMOTION[:INTENSITY]]...")],
    /,
    *,
    out: Out,
    size: int = 512,
    max_seconds: Annotated[float | None, arg(metavar="FLOAT")] = None,
    face: str = "largest",
    consent: str = "",
    force: bool = False,
) -> None:
    """Turn videos of one person talking into a capture: a folder that holds all that training needs.

    Each video may say which emotion it shows (neutral, angry, contempt, disgusted, fear, happy, sad, surprised) and
    how strongly, from 0 to 1. Interrupted work is continued when the command is given again.

    For example: aednerf prepare me.mp4 smiling.mp4:happy:0.8 -o captures/me

    Args:
        videos: the recordings, all of the same person.
        out: the capture to make.
        size: width and height of its pictures, in pixels; even.
        max_seconds: take only the first seconds of each video.
        face: which face, where there are several: `largest`, or a number from 1, left to right.
        consent: a note on the person's consent, kept in the capture and its avatars.
        force: replace a finished capture.
    """
    from aednerf.capture.clip import require_clip
    from aednerf.capture.steps import prepare as run
    from aednerf.terminal import Steps

    if not videos:
        raise InputError("Expected at least one video: aednerf prepare VIDEO[:EMOTION[:INTENSITY]]... -o CAPTURE.")
    clips = [require_clip(video) for video in videos]
    with Steps() as steps:
        capture = run(clips, out, size, max_seconds, face, consent, force, steps)
    for finding in capture.manifest.health.get("findings", ()):
        if finding["severity"] != "note":
            print(f"{finding['severity']}: {finding['measured']} {finding['advice']}")
    print(f"{capture.path}: {capture.n_frames} frames. Look at {capture.path / 'report.html'} before you train.")


def synthesize(
    script: Annotated[str, Positional, arg(metavar="SCRIPT")],
    /,
    *,
    out: Out,
    force: bool = False,
) -> None:
    """Film a computer-generated person from a script: a capture with the exact truth beside it.

    Interrupted work is continued when the command is given again.

    For example: aednerf synthesize demo -o captures/mara

    Args:
        script: a TOML file of sentences with emotions, or one that comes with the program: demo, mara, theo.
        out: the capture to make; its folder `truth` holds what no real recording has.
        force: replace a finished capture.
    """
    from aednerf.synthetic.recording import synthesize as run
    from aednerf.terminal import Steps

    with Steps() as steps:
        capture = run(script, out, force, steps)
    print(f"{capture.path}: {capture.n_frames} frames. Train on it: aednerf train {capture.path} -o AVATAR")


def train(
    capture: Positional[Path],
    /,
    *,
    out: Out,
    preset: Literal["smoke", "fast", "full"] = "fast",
    device: Device = "auto",
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
) -> None:
    """Learn an avatar from a capture.

    Interrupted work is continued when the command is given again.

    For example: aednerf train captures/me -o avatars/me --preset fast

    Args:
        capture: a folder that `aednerf prepare` made.
        out: the avatar to make.
        preset: smoke (a small picture in minutes, even on a processor), fast (minutes on a GPU) or full (the best).
        device: where to compute; auto takes the GPU where there is one.
        seed: of all chance in training.
        resume: insist on continuing an interrupted training: an error where there is none.
        force: replace a finished avatar, and forget an unfinished one.
    """
    from aednerf.terminal import Steps
    from aednerf.training.run import train as run

    with Steps() as steps:
        run(capture, out, preset, device, seed, resume, force, steps)
    print(f"{out}: trained. Let it speak: aednerf speak {out} --audio hello.wav -o hello.mp4")


def speak(
    avatar: Positional[Path],
    /,
    *,
    audio: tuple[Path, ...],
    out: Out,
    emotion: Annotated[str | None, arg(metavar="TEXT")] = None,
    intensity: float = 1.0,
    emotion_track: Annotated[Path | None, arg(metavar="FILE")] = None,
    camera: str = "front",
    background: str = "plate",
    expression: Annotated[Path | None, arg(metavar="FILE")] = None,
    mouth_gain: float = 1.0,
    audio_offset: float = 0.0,
    no_blink: bool = False,
    motion_out: Annotated[Path | None, arg(metavar="FILE")] = None,
    seed: int = 0,
    size: Annotated[int | None, arg(metavar="INT")] = None,
    crop: Annotated[str | None, arg(metavar="LEFT,TOP,WIDTH,HEIGHT")] = None,
    stereo: Annotated[float | None, arg(metavar="MM")] = None,
    aov: Annotated[str | None, arg(metavar="LAYERS")] = None,
    paste_back: Annotated[Path | None, arg(metavar="VIDEO")] = None,
    device: Device = "auto",
    force: bool = False,
) -> None:
    """Let an avatar say a sound file, with an emotion.

    For example: aednerf speak avatars/me --audio hello.wav -o hello.mp4 --emotion happy --intensity 0.7

    Args:
        avatar: a bundle that `aednerf train` made.
        audio: the speech, any file with sound. Several make one video each, in the folder OUT.
        out: the video to write: .mp4, .webm, .mov, or a name without an ending for a folder of PNG pictures.
        emotion: a label, or a mixture such as happy:0.6,sad:0.4; by default neutral. auto guesses it from the
            voice, which is no better than chance: of five acted voices it was right for none.
        intensity: of the emotion, 0 to 1.
        emotion_track: emotions over time, instead of one: a JSON file.
        camera: front, orbit, yaw=20,pitch=-5 (degrees; yaw > 0 towards the person's left), or a JSON file.
        background: plate (the recording's own), a picture, a video, #rrggbb, or transparent.
        expression: what to change about the face: JSON such as {"scale": {"jawOpen": 0.8}, "offset": {"browInnerUp":
            0.2}, "mask": ["eyeBlinkLeft"], "motion": "own.csv"}, each part optional (the names in mask are left to
            offset and motion alone), or a motion file to add.
        mouth_gain: factor on how far the mouth moves, 0 to 4.
        audio_offset: seconds by which the lips move earlier.
        no_blink: no blinks of its own.
        motion_out: write the motion as well, as .npz (exact) or .csv (Live Link).
        seed: of blinks, gaze and head motion; the same seed gives the same video.
        size: width of the picture in pixels, even; by default the recording's, or the crop's.
        crop: the part of the recording's picture to show: head, or left, top, width and height, in its pixels or as
            shares of it (0.2,0.1,0.6,0.6); by default all of it.
        stereo: two pictures side by side, for eyes so many millimetres apart (people's: 63); SIZE is each one's width.
        aov: layers for compositing, depth or normal or depth,normal: each a folder of PNG pictures beside OUT, such as
            hello-depth (16 bits, millimetres to the head) and hello-normal.
        paste_back: the original video of the recording: the picture is put back into it, in its place and size; what
            surrounds it is the recording itself, over and over.
        device: where to compute; auto takes the GPU where there is one.
        force: replace an output that exists.
    """
    from aednerf.avatar.avatar import Avatar
    from aednerf.core.files import require_absent
    from aednerf.emotion.prosody import AUTO, NOTICE
    from aednerf.motion.files import require_motion_name, save_motion
    from aednerf.terminal import Steps

    if not audio:
        raise InputError("Expected at least one sound file after --audio.")
    outputs = [out] if len(audio) == 1 else [out / f"{path.stem}.mp4" for path in audio]
    if len(set(outputs)) < len(outputs) or (motion_out and len(audio) > 1):
        raise InputError("Several sound files need different names, and take no --motion-out.")
    if motion_out:
        require_absent(require_motion_name(motion_out), force)
    if emotion == AUTO:
        print(NOTICE, file=sys.stderr)
    loaded = Avatar.load(avatar, device)
    for path, output in zip(audio, outputs, strict=True):
        speech = loaded.speak(
            path, emotion, intensity, emotion_track, camera, background, expression, mouth_gain, audio_offset,
            not no_blink, seed, size, crop, stereo, aov, paste_back,
        )  # fmt: skip
        with Steps() as steps:
            speech.save(output, force, steps)
        if motion_out:
            save_motion(motion_out, speech.motion)
        _tell(output, speech)


def render(
    avatar: Positional[Path],
    /,
    *,
    motion: Annotated[Path, arg(metavar="FILE")],
    out: Out,
    camera: str = "front",
    background: str = "plate",
    size: Annotated[int | None, arg(metavar="INT")] = None,
    crop: Annotated[str | None, arg(metavar="LEFT,TOP,WIDTH,HEIGHT")] = None,
    stereo: Annotated[float | None, arg(metavar="MM")] = None,
    aov: Annotated[str | None, arg(metavar="LAYERS")] = None,
    paste_back: Annotated[Path | None, arg(metavar="VIDEO")] = None,
    device: Device = "auto",
    force: bool = False,
) -> None:
    """Let an avatar show the expressions and poses of a motion file, without speech.

    For example: aednerf render avatars/me --motion live_link.csv -o me.mp4

    Args:
        avatar: a bundle that `aednerf train` made.
        motion: .npz of aednerf, or .csv of Live Link.
        out: as for `aednerf speak`.
        camera: as for `aednerf speak`.
        background: as for `aednerf speak`.
        size: width of the picture in pixels, even; by default the recording's, or the crop's.
        crop: as for `aednerf speak`.
        stereo: as for `aednerf speak`.
        aov: as for `aednerf speak`.
        paste_back: as for `aednerf speak`.
        device: where to compute; auto takes the GPU where there is one.
        force: replace an output that exists.
    """
    from aednerf.avatar.avatar import Avatar
    from aednerf.terminal import Steps

    shown = Avatar.load(avatar, device).render(motion, camera, background, size, crop, stereo, aov, paste_back)
    with Steps() as steps:
        shown.save(out, force, steps)
    _tell(out, shown)


def evaluate(
    avatar: Positional[Path],
    capture: Positional[Path],
    /,
    *,
    out: Out,
    protocol: Literal["self", "cross", "view", "emotion"] = "self",
    retrack: bool = False,
    truth: Annotated[Path | None, arg(metavar="CAPTURE")] = None,
    audio: tuple[Path, ...] = (),
    others: Annotated[tuple[Path, ...], arg(metavar="CAPTURE...")] = (),
    every: int = 1,
    max_frames: Annotated[int | None, arg(metavar="INT")] = None,
    device: Device = "auto",
    force: bool = False,
) -> None:
    """Measure an avatar: on what it has not seen of a recording, other people's speech, unseen cameras, emotions.

    Writes a folder with report.json, report.md, pictures except for cross, and for self a side-by-side video.

    For example: aednerf evaluate avatars/me captures/me -o reports/me

    Args:
        avatar: a bundle that `aednerf train` made.
        capture: the capture that it was trained on.
        out: the folder to write.
        protocol: self drives the avatar with the recording's own motion and speech; cross with other people's, given
            by --audio, and measures its lips against the sound; view looks at the head from the unseen cameras of a
            capture that `aednerf synthesize` made; emotion renders speech with every emotion, at eleven intensities,
            and reads the faces again (with MediaPipe): do they look like the capture's own clips?
        retrack: for cross, also render the speech and look for the lips in the pictures (slow).
        truth: for view, the synthesized capture whose bare videos CAPTURE was prepared from.
        audio: for cross, sound files; NAME.phonemes.json beside one says when which sound is spoken, so that closed
            lips can be counted. For emotion, the speech; by default the sound of CAPTURE's longest neutral clip.
        others: for emotion, captures of other people with emotional clips, neutral among them: a judge who learned from
            these says which emotion it sees (confusion.png).
        every: measure every so-manieth frame.
        max_frames: measure at most so many frames, spread evenly; for cross and emotion, the first ones of each sound.
        device: where to compute; auto takes the GPU where there is one.
        force: replace a report that exists.
    """
    from aednerf.avatar.avatar import Avatar
    from aednerf.capture.capture import Capture
    from aednerf.evaluation.evaluate import evaluate as run
    from aednerf.terminal import Steps

    recording = Capture.open(capture)
    loaded = Avatar.load(avatar, device)
    with Steps() as steps:
        exact = None if truth is None else Capture.open(truth)
        people = [Capture.open(path) for path in others]
        run(
            loaded, recording, out, protocol, every, max_frames, steps, force, truth=exact, audio=audio,
            retrack=retrack, others=people,
        )  # fmt: skip
    print((out / "report.md").read_text(encoding="utf-8"))
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def capture_report(capture: Positional[Path]) -> None:
    """Write the health report of a capture again, and print its findings.

    For example: aednerf capture report captures/me

    Args:
        capture: a folder that `aednerf prepare` made.
    """
    from aednerf.capture.capture import Capture
    from aednerf.capture.report import write_report

    print(write_report(Capture.open(capture)).text)


def capture_export(
    capture: Positional[Path],
    /,
    *,
    out: Out,
    format: Literal["rad-nerf"] = "rad-nerf",
    clip: Annotated[str | None, arg(metavar="NAME")] = None,
    audio_features: Annotated[Path | None, arg(metavar="FILE")] = None,
    parsing: Literal["rad-nerf", "talking-gaussian"] = "rad-nerf",
    force: bool = False,
) -> None:
    """Write a capture as RAD-NeRF, ER-NeRF, SyncTalk and TalkingGaussian read it.

    One clip is one folder; of several clips each gets a folder of its own inside OUT. Interrupted work is continued
    when the command is given again.

    For example: aednerf capture export captures/me -o data/me --format rad-nerf

    Args:
        capture: a folder that `aednerf prepare` made.
        out: the folder to make.
        format: rad-nerf is the layout that all four share.
        clip: export only the clip of this name.
        audio_features: speech features to write in place of ours, .npy [N, 16, 29], one row a frame of the clip.
        parsing: colours of the part pictures; talking-gaussian also tells hair and the mouth's inside apart.
        force: replace an earlier export.
    """
    from aednerf.capture.capture import Capture
    from aednerf.capture.rad_nerf_export import export_rad_nerf
    from aednerf.terminal import Steps

    with Steps() as steps:
        made = export_rad_nerf(Capture.open(capture), out, clip, audio_features, parsing, force, steps)
    print(*(f"note: {note}" for note in made.notes), *made.folders, sep="\n")


def capture_import(
    folders: Annotated[tuple[str, ...], Positional, arg(metavar="DIR[:EMOTION[:INTENSITY]]...")],
    /,
    *,
    out: Out,
    format: Literal["rad-nerf"] = "rad-nerf",
    tracking: Literal["auto", "given", "own"] = "auto",
    masks: Literal["given", "own"] = "given",
    allow_missing: bool = False,
    consent: str = "",
    force: bool = False,
) -> None:
    """Make a capture of folders that RAD-NeRF, ER-NeRF, SyncTalk or TalkingGaussian train from.

    Pictures, landmarks and poses are counted against each other first. Interrupted work is continued when the command
    is given again.

    For example: aednerf capture import data/obama -o captures/obama --format rad-nerf

    Args:
        folders: the folders, all of the same person; each becomes a clip.
        out: the capture to make.
        format: rad-nerf is the layout that all four share.
        tracking: auto restores an export of ours exactly and tracks the face anew in other folders; given keeps the
            folder's poses and tracks the rest; own tracks all.
        masks: given takes parts and background from the folder; own cuts the person out anew, with soft hair.
        allow_missing: count pictures that lack landmarks or a pose as frames without a face.
        consent: a note on the person's consent; by default what an export of ours says.
        force: replace a finished capture.
    """
    from aednerf.capture.rad_nerf_import import import_rad_nerf
    from aednerf.terminal import Steps

    if not folders:
        raise InputError("Expected at least one folder: aednerf capture import DIR -o CAPTURE --format rad-nerf.")
    with Steps() as steps:
        made = import_rad_nerf(folders, out, tracking, masks, allow_missing, consent, force, steps)
    print(*(f"note: {note}\n" for note in made.notes), sep="", end="")
    path = made.capture.path
    print(f"{path}: {made.capture.n_frames} frames. Look at {path / 'report.html'} before you train.")


def _tell(output: Path, speech: Speech) -> None:
    """Print where an output is, and what is to be known of it."""
    print(output)
    if speech.scene.notice:
        print(f"note: {speech.scene.notice}")


def _choice(commands: Mapping[str, Any], words: Sequence[str]) -> Any:
    """Return the type from which tyro makes the choice between commands, and between a group's own commands.

    A command that the words do not name is only listed, by the first sentence of its help; tyro need not study it.
    """
    options: list[Any] = []
    for name, command in commands.items():
        help_text = command[""] if isinstance(command, Mapping) else command.__doc__
        summary = help_text.partition("\n")[0]
        if name not in words:
            options.append(Annotated[None, subcommand(name=name, constructor=_unnamed, description=summary)])
        elif isinstance(command, Mapping):
            options.append(Annotated[Any, subcommand(name=name, constructor=_group(command, words))])
        else:
            options.append(Annotated[Any, subcommand(name=name, constructor=command)])
    if len(options) == 1:
        options.append(Annotated[None, Suppress])  # a choice of one is no choice to Python
    return Union[tuple(options)]  # noqa: UP007


def _group(commands: Mapping[str, Any], words: Sequence[str]) -> Callable[..., Any]:
    def run(command: Any) -> Any:
        return command

    run.__doc__ = commands[""]
    run.__annotations__["command"] = _choice({name: value for name, value in commands.items() if name}, words)
    return run


def _unnamed() -> None:
    """Stand for a command that was not asked for."""


COMMANDS: Mapping[str, Any] = {
    "doctor": doctor,
    "demo": demo,
    "prepare": prepare,
    "synthesize": synthesize,
    "train": train,
    "speak": speak,
    "render": render,
    "evaluate": evaluate,
    "capture": {
        "": "Look at a capture again, or exchange it with other programs.",
        "report": capture_report,
        "export": capture_export,
        "import": capture_import,
    },
    "assets": {
        "": "List, download or pack the third-party models that the program uses.",
        "list": assets_list,
        "get": assets_get,
        "pack-ict": assets_pack_ict,
    },
}
"""Each command's name and function; a group maps its own commands, and "" to the group's help."""

DESCRIPTION = """Make an avatar of a person from a short video, and let it say anything, with any emotion.

The way: prepare a capture from video, train an avatar from the capture, let the avatar speak.
`aednerf COMMAND -h` explains a command and gives an example."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Returns:
        0, or what the command says; 1 where the machine failed; 2 where the input was wrong; 130 after an
        interruption from the keyboard.
    """
    try:
        if list(arguments) == ["--version"]:
            from aednerf import __version__

            print(f"aednerf {__version__}")
            return 0
        markers = (FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes)
        commands = _choice(COMMANDS, arguments)
        return tyro.cli(commands, prog="aednerf", description=DESCRIPTION, args=arguments, config=markers) or 0
    except AednerfError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted. Give the same command again, without --force, to continue.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        return 1
    except Exception as error:
        reason = _machine_failure(error)
        if reason is None:
            raise
        return _fail(reason, 1)


def _machine_failure(error: Exception) -> str | None:
    """Say what is wrong with the machine, or return None where the error is the program's own."""
    code, reason, file = (error.errno, error.strerror, error.filename) if isinstance(error, OSError) else (None,) * 3
    where = f" ({file})" if file else ""
    # Libraries that write files themselves report a full disk as an error of their own kind.
    if code in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
        return f"the disk is full{where}. Free some space and give the same command again."
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission{where}: {reason}. Choose another place, or change the permissions."
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out of memory. Close other programs, or use a smaller --preset or --size."
    return None


def _fail(text: str, exit_code: int) -> int:
    print(f"aednerf: error: {' '.join(text.split())}", file=sys.stderr)
    return exit_code


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))
