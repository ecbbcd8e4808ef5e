"""The health report of a capture: text for the terminal, report.html and report.png for a closer look."""

from __future__ import annotations

import base64
import html
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from aednerf.capture import charts
from aednerf.capture.capture import Capture
from aednerf.capture.contact_sheet import contact_sheet
from aednerf.capture.findings import Finding, judge
from aednerf.capture.measures import ClipFigures, head_angles_deg, lip_gaps, measure
from aednerf.capture.sync import MAX_LAG
from aednerf.core.files import atomic_path
from aednerf.core.records import ARKIT_NAMES
from aednerf.core.units import FPS
from aednerf.media.image import write_image

Image = NDArray[np.uint8]

HTML_NAME = "report.html"
PNG_NAME = "report.png"

_SIGNS = {"serious": "!!", "warning": "! ", "note": "  "}


@dataclass(frozen=True)
class Report:
    """Figures, findings and the text of a capture's health report."""

    clips: tuple[ClipFigures, ...]
    findings: tuple[Finding, ...]
    text: str


def write_report(capture: Capture) -> Report:
    """Examine a capture and write report.html, report.png and the health part of its capture.json.

    Args:
        capture: the capture; its folder must be writable.

    Returns:
        The report; `text` is for the terminal.
    """
    clips = tuple(measure(capture, index) for index in range(len(capture.clips)))
    findings = judge(capture.manifest, clips)
    sheet, pictures = contact_sheet(capture), _charts(capture, clips)
    write_image(capture.path / PNG_NAME, _poster(sheet, pictures))
    with atomic_path(capture.path / HTML_NAME) as temporary:
        temporary.write_text(_page(capture, clips, findings, sheet, pictures), encoding="utf-8")
    health = {"clips": [asdict(clip) for clip in clips], "findings": [asdict(finding) for finding in findings]}
    replace(capture.manifest, health=health).save(capture.path)
    return Report(clips, findings, _text(capture, clips, findings))


def _text(capture: Capture, clips: tuple[ClipFigures, ...], findings: tuple[Finding, ...]) -> str:
    lines = [_summary(capture, clips)]
    # One line for each kind of trouble: eight clips with one fault are one fault.
    for same in _by_code(findings):
        finding = same[0]
        where = ""
        if finding.clip and len(clips) > 1:
            where = f" [{finding.clip}" + (f" and {len(same) - 1} more" if len(same) > 1 else "") + "]"
        lines.append(f"{_SIGNS[finding.severity]} {finding.severity}: {finding.measured} ({finding.code}){where}")
        if finding.severity != "note":
            lines.append(f"     {finding.meaning}")
            lines.append(f"     What to do: {finding.advice}")
    if not any(finding.severity != "note" for finding in findings):
        lines.append("   Nothing speaks against training.")
    lines.append(f"   Pictures: {Path(capture.path) / HTML_NAME}")
    return "\n".join(lines)


def _by_code(findings: tuple[Finding, ...]) -> list[list[Finding]]:
    """Group findings of the same code and severity, in the order of their first one."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.code, finding.severity), []).append(finding)
    return list(groups.values())


def _summary(capture: Capture, clips: tuple[ClipFigures, ...]) -> str:
    n_valid, errors = int(capture.tracking.valid.sum()), capture.tracking.error_px[capture.tracking.valid]
    error = float(np.median(errors)) * 512 / capture.size
    plural = "s" if len(clips) > 1 else ""
    return (
        f"{len(clips)} clip{plural}, {capture.n_frames} frames ({capture.n_frames / FPS:.1f} s) of {capture.size} x "
        f"{capture.size} pixels; {n_valid} with the face; the fitted face is off by {error:.2f} px of 512."
    )


def _charts(capture: Capture, clips: tuple[ClipFigures, ...]) -> list[Image]:
    tracking, valid = capture.tracking, capture.tracking.valid
    scale = 512 / capture.size
    starts = [clip.first for clip in capture.clips[1:]]
    yaw, pitch = head_angles_deg(tracking.rotation[valid])
    jaw = tracking.expression[valid, ARKIT_NAMES.index("jawOpen")]
    gaps = lip_gaps(tracking.landmarks_px[valid])
    pictures = [
        charts.line_chart("Fitted face: error of each frame", [tracking.error_px * scale], "px of 512", starts),
        charts.point_chart("Head: pitch (up) over yaw (towards the person's left)", yaw, pitch, "degrees"),
        charts.bar_chart("How far the jaw opens (jawOpen)", jaw, 0.0, 1.0, "% of frames"),
        charts.bar_chart("Gap between the lips over eye distance", gaps, 0.0, 0.6, "% of frames"),
    ]
    heard = [(clip.n_frames, clip.sync) for clip in clips if clip.sync is not None]
    if heard:
        weights = np.array([n for n, _ in heard], float)
        curve = np.average([sync.curve for _, sync in heard], axis=0, weights=weights)
        lags = np.arange(-MAX_LAG, MAX_LAG + 1) * 1000 / FPS
        title = "Mouth against sound: correlation over the mouth's delay"
        pictures.append(charts.line_chart(title, [curve], "ms", [0], lags))
    return pictures


def _poster(sheet: Image, pictures: list[Image]) -> Image:
    """Join the contact sheet and the charts, two in a row, to one picture."""
    width = sheet.shape[1] // 2
    small = [cv2.resize(p, (width, p.shape[0] * width // p.shape[1]), interpolation=cv2.INTER_AREA) for p in pictures]
    small += [np.full_like(small[0], 255)] * (len(small) % 2)
    rows = [np.concatenate(small[i : i + 2], axis=1) for i in range(0, len(small), 2)]
    rows = [np.pad(row, ((0, 0), (0, sheet.shape[1] - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate([sheet, *rows]).astype(np.uint8)


def _page(
    capture: Capture, clips: tuple[ClipFigures, ...], findings: tuple[Finding, ...], sheet: Image, pictures: list[Image]
) -> str:
    return _PAGE.format(
        title=html.escape(capture.path.name),
        summary=html.escape(_summary(capture, clips)),
        consent=html.escape(capture.manifest.consent or "none given"),
        findings="".join(_finding_row(finding) for finding in findings),
        clips="".join(_clip_row(capture, index, clip) for index, clip in enumerate(clips)),
        sheet=_embedded(sheet, ".jpg"),
        charts="".join(f'<img alt="chart" src="{_embedded(picture, ".png")}">' for picture in pictures),
    )


def _finding_row(finding: Finding) -> str:
    cells = (finding.clip or "all", finding.measured, finding.meaning, finding.advice, finding.code)
    row = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr class="{finding.severity}"><td><b>{finding.severity}</b></td>{row}</tr>'


def _clip_row(capture: Capture, index: int, clip: ClipFigures) -> str:
    record = capture.clips[index]
    jitter = record.measured.jitter_deg
    sync = "silent"
    if clip.sync is not None:
        sync = f"{clip.sync.lag_frames * 1000 / FPS:+.0f} ms ({clip.sync.correlation:.2f})"
    cells = (
        clip.name, f"{record.emotion} {record.intensity:.2g}", f"{clip.n_valid} of {clip.n_frames}",
        f"{clip.source_eyes_px:.0f}", f"{clip.yaw_deg[0]:.0f} ... {clip.yaw_deg[2]:.0f}",
        f"{clip.pitch_deg[0]:.0f} ... {clip.pitch_deg[2]:.0f}", f"{clip.error_px[0]:.2f} / {clip.error_px[1]:.2f}",
        "" if jitter is None else f"{jitter:.3f}", f"{clip.sharpness:.0f}", f"{clip.jaw_open:.2f}", sync,
    )  # fmt: skip
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _embedded(image: Image, suffix: str) -> str:
    ok, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert ok
    kind = "jpeg" if suffix == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Capture {title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #28282f; max-width: 1280px; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px }}
th, td {{ text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #e2e2e6; vertical-align: top }}
tr.serious b {{ color: #b3261e }} tr.warning b {{ color: #9a6700 }} tr.note b {{ color: #57606a }}
img {{ max-width: 100% }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem }}
.scroll {{ overflow-x: auto }}
</style></head><body>
<h1>Capture {title}</h1><p>{summary}</p><p>Consent: {consent}</p>
<h2>What to know before training</h2><div class="scroll"><table>
<tr><th></th><th>clip</th><th>found</th><th>what it means</th><th>what to do</th><th>code</th></tr>
{findings}</table></div>
<h2>The fitted face</h2>
<p>The mesh should lie on the face: lips on lips, lids on lids, also when the mouth is wide open.</p>
<img alt="frames with the fitted mesh" src="{sheet}">
<h2>Clips</h2><div class="scroll"><table><tr><th>clip</th><th>emotion</th><th>frames with the face</th>
<th>eyes, source px</th><th>yaw, deg</th><th>pitch, deg</th><th>error median / 95 %, px</th><th>jitter, deg</th>
<th>sharpness</th><th>jawOpen 95 %</th><th>mouth after sound (correlation)</th></tr>{clips}</table></div>
<h2>Over time and range</h2><div class="charts">{charts}</div>
</body></html>
"""
