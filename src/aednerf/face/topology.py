"""Index lists of MediaPipe's 478 face landmarks: rings, regions, rigid points, and the iBUG-68 table.

"Left" and "right" are the person's own: the left eye is on the right-hand side of a picture that is not mirrored.
"""

from __future__ import annotations

N_LANDMARKS = 478
"""468 points of the face mesh, then five points of each iris."""

OVAL: tuple[int, ...] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The closed outline of the face, from the top of the forehead over the person's left cheek and the chin."""

SLIDING: tuple[int, ...] = tuple(i for i in OVAL if i != 152)
"""Outline points without a place of their own on the skin: they slide along the silhouette as the head turns."""

CHIN: tuple[int, ...] = (152, 148, 176, 149, 377, 400, 378)
"""The lowest part of the outline, which goes where the jaw goes."""

LIPS_OUTER: tuple[int, ...] = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181)
"""Outer rim of the lips (iBUG 48 to 59), from the person's right corner over the upper lip."""

LIPS_INNER: tuple[int, ...] = (78, 82, 13, 312, 308, 317, 14, 87)
"""Inner rim of the lips (iBUG 60 to 67), from the person's right corner over the upper lip."""

LIPS_OUTER_RING: tuple[int, ...] = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
"""All twenty points of the outer rim, in order."""

LIPS_INNER_RING: tuple[int, ...] = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
"""All twenty points of the inner rim, in order."""

LIPS_UPPER_INNER: tuple[int, ...] = (191, 80, 81, 82, 13, 312, 311, 310, 415)
"""Inner rim of the upper lip without the corners; `LIPS_LOWER_INNER` holds the point opposite each."""

LIPS_LOWER_INNER: tuple[int, ...] = (95, 88, 178, 87, 14, 317, 402, 318, 324)
"""Inner rim of the lower lip without the corners."""

RIGHT_EYE: tuple[int, ...] = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
"""Rims of the lids of the person's right eye: outer corner, upper lid, inner corner, lower lid."""

LEFT_EYE: tuple[int, ...] = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
"""Rims of the lids of the person's left eye, in the same order as `RIGHT_EYE`."""

UPPER_LIDS: tuple[int, ...] = (247, 30, 29, 27, 28, 56, 190, 467, 260, 259, 257, 258, 286, 414)
"""The row above the upper rims, right then left: the detector moves it less than a lid moves in a blink."""

RIGHT_IRIS: tuple[int, ...] = (468, 469, 470, 471, 472)
"""The person's right iris: centre, then four points of its rim."""

LEFT_IRIS: tuple[int, ...] = (473, 474, 475, 476, 477)
"""The person's left iris: centre, then four points of its rim."""

RIGHT_BROW: tuple[int, ...] = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55)
"""The person's right brow: upper edge from the outside in, then lower edge from the outside in."""

LEFT_BROW: tuple[int, ...] = (300, 293, 334, 296, 336, 276, 283, 282, 295, 285)
"""The person's left brow, in the same order as `RIGHT_BROW`."""

BROWS: tuple[int, ...] = RIGHT_BROW + LEFT_BROW

IBUG68: tuple[int, ...] = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    *LIPS_OUTER, *LIPS_INNER,
)  # fmt: skip
"""The landmark nearest to each of the 68 points of the iBUG (300-W) scheme, in its order."""

RIGID: tuple[int, ...] = (
    151, 108, 337, 109, 338, 67, 297, 71, 301, 21, 251, 162, 389, 139, 368, 127, 356, 34, 264, 143, 372,
    168, 6, 197, 195, 5, 122, 351, 196, 419, 3, 248, 245, 465, 193, 417, 188, 412, 189, 413, 244, 464,
    133, 362, 243, 463, 33, 263, 130, 359, 226, 446,
)  # fmt: skip
"""Forehead, temples, nose bridge, corners of the eyes: what the face model's 52 coefficients move least (at most 4.7 mm
as the root of the squared displacements' sum). They carry the head pose."""
