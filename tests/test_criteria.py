"""The criteria of the classes: complete, and those of the paper's Appendix A."""

from __future__ import annotations

import pytest

from pcm_leukemia import NINE, criteria


def test_every_class_has_criteria_in_the_order_of_the_taxonomy() -> None:
    assert tuple(criteria.CRITERIA) == NINE.labels
    for label, found in criteria.CRITERIA.items():
        assert found == criteria.of_label(label)
        if label != "Other":
            assert list(found)[:2] == ["Nucleus", "Cytoplasm"]
            assert len(found) == 3
        for text in found.values():
            assert text == text.strip()
            assert text[0].islower()
            assert not text.endswith(".")


@pytest.mark.parametrize(
    ("label", "what", "words"),
    [
        ("Lymphocyte", "Size", "red cell"),
        ("Neutrophil", "Nucleus", "two to five lobes"),
        ("Basophil", "Granules", "over the nucleus"),
        ("Eosinophil", "Granules", "orange-red"),
        ("Lymphoblast", "Nucleus", "up to two nucleoli"),
        ("Monocyte", "Nucleus", "kidney bean"),
        ("Myeloblast(AML)", "Features", "single Auer rods"),
        ("Promyelocyte (APL)", "Features", "bundles of Auer rods"),
        ("other", "Includes", "smudge cells"),
    ],
)
def test_what_tells_the_classes_apart(label: str, what: str, words: str) -> None:
    assert words in criteria.of_label(label)[what]


def test_other_labels_have_none() -> None:
    assert criteria.of_label("Platelet") == {}
