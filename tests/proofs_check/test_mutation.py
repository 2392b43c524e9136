"""The wrong edits still apply, one of them is caught, and a harmless one is reported as a survivor."""

from pathlib import Path

import pytest

from proofs_check import mutation
from proofs_check.mutation.edit import Edit
from proofs_check.mutation.edits import EDITS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{Path(edit.file).stem}: {edit.what}")
def test_every_edit_still_applies(edit):
    assert (ROOT / edit.file).read_text(encoding="utf-8").count(edit.text) == 1
    assert edit.text != edit.wrong
    assert edit.tests and all((ROOT / test.partition("::")[0]).exists() for test in edit.tests)


def test_there_are_enough_of_them():
    assert len(EDITS) >= 40
    assert len({(edit.file, edit.text, edit.wrong) for edit in EDITS}) == len(EDITS)


HARMLESS = Edit(
    "certify/theory/margins.py",
    "return margin > twice",
    "return twice < margin",
    "the same comparison",
    ("tests/theory/test_margins.py",),
)
WRONG = Edit(
    "certify/theory/margins.py", "return margin > twice", "return margin >= twice", "a tie", ("tests/theory/test_margins.py",)
)


def test_a_wrong_edit_is_caught_and_a_harmless_one_survives():
    found = {edit.what: caught for _, edit, caught, _ in mutation.run([(0, HARMLESS), (1, WRONG)], jobs=2)}
    assert found == {"the same comparison": False, "a tie": True}


def test_an_edit_that_does_not_apply_is_an_error():
    with pytest.raises(LookupError, match="stands 0 times"):
        list(mutation.run([(0, Edit("certify/theory/margins.py", "no such text", "", "", ()))], jobs=1))
