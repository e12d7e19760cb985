"""What the documentation says is what the program does."""

import re
from pathlib import Path

import pytest

from tests.support import settings_page, status_page

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def test_the_settings_page_is_up_to_date():
    assert settings_page.PAGE.read_text() == settings_page.page()


def test_the_page_of_statuses_is_drawn_from_the_table():
    assert status_page.PAGE.read_text() == status_page.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    missing = [
        link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()
    ]
    assert missing == []


def test_every_shipped_map_is_on_the_list_of_devices():
    listed = (ROOT / "docs/devices/README.md").read_text()
    maps = {path.stem for path in (ROOT / "config/registers").glob("[!_]*.toml")}
    assert [name for name in sorted(maps) if f"`{name}`" not in listed] == []
