"""The pages say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import generate
from highbeam.schemas.contract import Column
from highbeam.schemas.job import Job
from highbeam.schemas.reasons import REASONS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == generate.filled(text), f"{page.name}: run `python docs/generate.py`"


def test_every_part_stands_in_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert [name for name in generate.PARTS if text.count(f"<!-- generated: {name} -->") != 1] == []


def test_every_key_of_a_job_and_every_reason_is_described() -> None:
    text = generate.job_keys()
    assert [name for model in (Job, Column) for name, _ in generate.keys(model) if f"| `{name}` |" not in text] == []
    rows = re.findall(r"^\| .*", text, re.MULTILINE)
    assert [row for row in rows if row.endswith("|  |")] == []  # a key without a word on what it means
    assert [reason for reason in REASONS if f"`{reason}`" not in generate.reasons()] == []


def anchors(text: str) -> set[str]:
    """What the headings of a page are linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        path = (page.parent / target) if target else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            broken.append(f"{target}#{anchor}")
    assert broken == []
