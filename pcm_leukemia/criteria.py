"""How each of the nine classes is recognised: the criteria by which the paper's cells were labelled.

Source: Appendix A (Figure 5) of the paper that `paper` cites, in our own words.
"""

from __future__ import annotations

from collections.abc import Mapping

from pcm_leukemia.taxonomy import NINE

__all__ = ["CRITERIA", "of_label"]

CRITERIA: Mapping[str, Mapping[str, str]] = {
    "Lymphocyte": {
        "Nucleus": "round or slightly indented; dense, clumped, dark purple chromatin",
        "Cytoplasm": "a narrow, pale blue rim",
        "Size": "small, about as large as a red cell",
    },
    "Neutrophil": {
        "Nucleus": "two to five lobes, joined by thin strands",
        "Cytoplasm": "pale pink to salmon",
        "Granules": "fine, faintly pink or purple, often hard to see",
    },
    "Basophil": {
        "Nucleus": "two lobes or the shape of an S, often hidden by granules",
        "Cytoplasm": "clear to pinkish, usually covered",
        "Granules": "large, coarse, blue-black; they lie over the nucleus",
    },
    "Eosinophil": {
        "Nucleus": "two lobes, like a pair of spectacles",
        "Cytoplasm": "pale blue or colourless",
        "Granules": "large, of equal size, bright orange-red, refractile; they leave the nucleus visible",
    },
    "Lymphoblast": {
        "Nucleus": "round or oval; coarse or slightly clumped chromatin; up to two nucleoli, small or indistinct",
        "Cytoplasm": "scanty, deep blue, without granules",
        "Size": "usually smaller than a myeloblast; the nucleus fills most of the cell (high N:C ratio)",
    },
    "Monocyte": {
        "Nucleus": "large, irregular, like a kidney bean or a horseshoe; delicate, lacy chromatin",
        "Cytoplasm": "abundant, dull grey-blue, like ground glass",
        "Features": "often vacuoles (white holes) and fine, dust-like granules",
    },
    "Myeloblast_AML": {
        "Nucleus": "round or oval; fine, lacy chromatin; two to five prominent nucleoli",
        "Cytoplasm": "scanty to moderate, blue",
        "Features": "sometimes fine azurophilic granules or single Auer rods (needle-like inclusions)",
    },
    "Myeloblast_APL": {
        "Nucleus": "often bilobed, folded or butterfly-shaped (reniform)",
        "Cytoplasm": "packed with heavy, dark azurophilic granules",
        "Features": "often bundles of Auer rods (faggot cells); the granules often hide the nucleus",
    },
    "Other": {
        "Includes": "cells at the border with more than half out of sight, smudge cells, and artefacts",
    },
}
"""Class -> what is looked at -> how it looks; classes in the order of the taxonomy."""


def of_label(label: str) -> Mapping[str, str]:
    """The criteria of a label's class; empty for a label that is none of the nine classes.

    Examples
    --------
    >>> of_label("monocytes")["Cytoplasm"]
    'abundant, dull grey-blue, like ground glass'
    >>> of_label("Platelet")
    {}
    """
    name = NINE.match(label)
    return CRITERIA[name] if name else {}
