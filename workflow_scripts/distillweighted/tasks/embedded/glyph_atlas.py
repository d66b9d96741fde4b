"""Scripts, the bundled fonts that hold them, and the atlas of their drawn characters.

Only the fonts that ship inside matplotlib are used, so that the same characters are drawn on
every machine. A capital and a small letter of the same shape would be one class under two names,
and a letter of a target that looks like a letter of a source would be that source's class; such
letters are left out.
"""

from __future__ import annotations

import functools
import pathlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

ATLAS_SIZE = 64
BOX_SIZE = 44

_SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
_SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic")
_MONO = (
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
)
_STIX = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")

SCRIPTS: dict[str, str] = {
    "latin": "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghjkmnqrtuy",
    "cyrillic": "БГДЖЗИЙЛПУФЦЧШЩЪЫЬЭЮЯбЂЄЉЊЋЏҐЎЇЁ",
    "syllabics": "ᐁᐅᐊᐳᐸᑐᑕᑫᑭᑯᑲᒉᒋᒍᒐᒣᒧᓀᓂᓄᓇᓭᓯᓱᓴᔦᔨᔪᔭᓓᓕᓗᓚᔑᔓᔕᕆᕈᖃ",
    "greek": "αβγδεζηθικλμξπρςστυφχψωΔΘΛΞΣΩΨϑϖϡϟ",
    "armenian": "ԱԲԳԴԵԶԷԸԹԺԻԽԾԿՀՁՂՃՄՅՆՇՉՊՋՌՎՏՐՒՔՖեծճձփջ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "symbols": "←↑→↓↔↕↖↗↘↙⇒⇔∂∝∈√∞∠∫≈≠≡≤≥⊕⊗⊥±÷×□■◆◇●◐▼♠♣♥♪",
}
"""The characters of each script, one class each, in the order of the labels."""

FACES: dict[str, tuple[str, ...]] = {
    "latin": _SANS + _SERIF + _MONO + _STIX,
    "cyrillic": _SANS + _SERIF + _MONO + _STIX,
    "syllabics": _SANS,
    "greek": _SANS + _SERIF + _MONO + _STIX,
    "armenian": _SANS + _SERIF + _MONO,
    "georgian": _SANS + _SERIF + _MONO,
    "symbols": _SANS + _SERIF + _MONO,
}
"""The font faces that hold every character of a script."""


def _draw_ink(font: FT2Font, character: str, pixels_per_em: float) -> np.ndarray:
    """Draws one character, cut to its ink: float64 [height, width], 0 to 1."""
    from matplotlib.ft2font import LoadFlags

    font.set_size(pixels_per_em, 72)
    # Without hinting, the outline is drawn as designed, whatever the size and FreeType's version.
    font.set_text(character, 0.0, flags=LoadFlags.NO_HINTING)
    font.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.asarray(font.get_image(), dtype=np.float64) / 255.0
    return ink[ink.any(axis=1)][:, ink.any(axis=0)]


def _draw_tile(font: FT2Font, character: str) -> np.ndarray:
    """Draws one character, its longer side BOX_SIZE, in the middle of [ATLAS_SIZE, ATLAS_SIZE]."""
    trial = _draw_ink(font, character, 64.0)
    ink = _draw_ink(font, character, 64.0 * BOX_SIZE / max(trial.shape))
    height, width = ink.shape
    tile = np.zeros((ATLAS_SIZE, ATLAS_SIZE))
    top, left = (ATLAS_SIZE - height) // 2, (ATLAS_SIZE - width) // 2
    tile[top : top + height, left : left + width] = ink
    return tile


@functools.cache
def glyph_atlas(script: str) -> np.ndarray:
    """Draws every character of a script in every face of it.

    Returns:
        float64 [characters, faces, ATLAS_SIZE, ATLAS_SIZE], 0 (paper) to 1 (ink), slightly
        blurred against aliasing; read-only, since calls share it.

    Raises:
        RuntimeError: if a font of the installed matplotlib lacks a character.
    """
    # Slow imports, which a plan of the tasks does without.
    import matplotlib
    from matplotlib.ft2font import FT2Font
    from scipy import ndimage

    characters, faces = SCRIPTS[script], FACES[script]
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    atlas = np.zeros((len(characters), len(faces), ATLAS_SIZE, ATLAS_SIZE))
    for face_index, face in enumerate(faces):
        font = FT2Font(str(folder / f"{face}.ttf"), hinting_factor=1)
        missing = [c for c in characters if ord(c) not in font.get_charmap()]
        if missing:
            raise RuntimeError(
                f"matplotlib {matplotlib.__version__} ships a {face} without {''.join(missing)!r};"
                " install the version of matplotlib that pyproject.toml pins"
            )
        for class_index, character in enumerate(characters):
            atlas[class_index, face_index] = _draw_tile(font, character)
    atlas = ndimage.gaussian_filter(atlas, sigma=(0, 0, 0.8, 0.8))
    atlas.flags.writeable = False
    return atlas
