"""The order of imports, as a function over a source tree: what may import what, and who must do without what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "aednerf"

ORDER = (
    "core", "media", "ops", "ict_facekit", "assets", "face", "speech", "emotion", "capture", "motion", "field",
    "render", "avatar", "training", "evaluation", "live", "studio", "synthetic", "terminal", "doctor", "commands",
    "cli", "__main__",
)  # fmt: skip
"""The folders and files of the package; each imports from itself and from those before it."""

FORBIDDEN = frozenset((reader, "training") for reader in ("evaluation", "live", "studio"))
"""Arrows against which the order says nothing, but the design does."""

LIGHT_ROOTS = ("avatar", "field", "render", "training", "capture.capture")
"""What must import without the libraries of `HEAVY`: machines with a GPU may lack them."""

HEAVY = ("av", "mediapipe", "tyro", "pooch")


@dataclass(frozen=True)
class Import:
    """One import statement: of a module, as the program writes it or as Python resolves it."""

    target: str
    """A dotted name, such as `aednerf.core.errors` or `numpy`."""

    line: int
    is_at_import: bool
    """Whether it runs when the file is imported, rather than when a function is called."""


def violations(source: Path) -> list[str]:
    """Return what is wrong with the imports of the package under `source`, one line each; empty where all is well.

    Args:
        source: the folder that holds the package's folder.
    """
    modules = {_name(path, source): path for path in sorted((source / PACKAGE).rglob("*.py"))}
    imports = {name: list(_imports(name, path, modules)) for name, path in modules.items()}
    return [*_against_the_order(imports), *_cycles(imports), *_heavy(imports)]


def _name(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _row(module: str) -> str:
    """Return the folder or file directly under the package that a module belongs to; "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def _imports(name: str, path: Path, modules: dict[str, Path]) -> Iterator[Import]:
    """Yield every import of a file, those inside functions included."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    def visit(node: ast.AST, is_at_import: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, node.lineno, is_at_import) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.rsplit(".", level - 1)[0] if level > 1 else package
                base = ".".join(filter(None, (above, module))) if level else module or ""
                for alias in names:
                    inner = f"{base}.{alias.name}"
                    yield Import(inner if inner in modules or base == PACKAGE else base, node.lineno, is_at_import)
            case ast.Call(func=func, args=[ast.Constant(value=str(target)), *_]):
                called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
                if called in ("import_module", "__import__"):
                    yield Import(target, node.lineno, is_at_import)
        for child in ast.iter_child_nodes(node):
            is_deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            yield from visit(child, is_at_import and not is_deferred and not is_for_types)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


def _is_ours(target: str) -> bool:
    return target == PACKAGE or target.startswith(f"{PACKAGE}.")


def _against_the_order(imports: dict[str, list[Import]]) -> Iterator[str]:
    for name, found in imports.items():
        row = _row(name)
        if not row:
            continue  # the package's own names are looked up lazily, in every layer
        if row not in ORDER:
            yield f"{name}: {row!r} has no place in the order of layers"
            continue
        for item in found:
            target = _row(item.target)
            if not _is_ours(item.target) or target in (row, "__version__"):
                continue
            if target not in ORDER:
                yield f"{name}:{item.line} imports {item.target}, which is no layer: import from the file itself"
            elif ORDER.index(target) > ORDER.index(row):
                yield f"{name}:{item.line} imports {item.target}, which lies above it"
            elif (row, target) in FORBIDDEN:
                yield f"{name}:{item.line} imports {item.target}, which {row} must not know"


def _cycles(imports: dict[str, list[Import]]) -> Iterator[str]:
    """Yield each module that reaches itself through modules of its own folder."""
    for name in imports:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            for item in imports[waiting.pop()]:
                if item.target in imports and _row(item.target) == _row(name) != "" and item.target not in reached:
                    reached.add(item.target)
                    waiting.append(item.target)
        if name in reached:
            yield f"{name} imports itself in a circle, through {', '.join(sorted(reached - {name})) or 'itself'}"


def _heavy(imports: dict[str, list[Import]]) -> Iterator[str]:
    """Yield each import of a heavy library that happens when one of the light roots is imported."""
    roots = [name for name in imports if any(f"{name}.".startswith(f"{PACKAGE}.{root}.") for root in LIGHT_ROOTS)]
    reached, waiting = set(roots), list(roots)
    while waiting:
        name = waiting.pop()
        for item in imports[name]:
            if not item.is_at_import:
                continue
            if item.target.partition(".")[0] in HEAVY:
                yield f"{name}:{item.line} imports {item.target}, but {', '.join(LIGHT_ROOTS)} must do without it"
            parts = item.target.split(".")
            for end in range(1, len(parts) + 1):  # importing a.b.c imports a and a.b as well
                above = ".".join(parts[:end])
                if above in imports and above not in reached:
                    reached.add(above)
                    waiting.append(above)
