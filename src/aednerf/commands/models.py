"""The third-party models: which there are, getting them, packing one's own download."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from aednerf.commands.options import Out


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
