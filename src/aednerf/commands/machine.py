"""What this machine can do."""

from __future__ import annotations

from pathlib import Path


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
