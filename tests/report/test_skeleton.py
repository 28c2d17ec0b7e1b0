"""The page that all reports are put into: what is no HTML is escaped, what is HTML stands as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

from markupsafe import Markup

from ftkit.report.markup import Html
from ftkit.report.skeleton import Part, fill_page


def test_titles_are_escaped_and_sections_stand_as_they_are() -> None:
    part = Part("one", "A < B\u202e", Markup("<p>a &lt; b</p>"))
    page = fill_page([part], title="<t>", heading="{{ h }}", lead="'l'", more_style="q > p { }")
    assert "<title>&lt;t&gt;</title>" in page
    assert "<h1>{{ h }}</h1><p>&#x27;l&#x27;</p>" in page
    assert '<h2 id="one-title">A &lt; B\ufffd</h2><p>a &lt; b</p></section>' in page
    assert '<nav aria-label="Sections"><a href="#one">A &lt; B\ufffd</a></nav>' in page
    assert "q > p { }</style>" in page


def test_our_own_mark_of_html_is_one_that_templates_take() -> None:
    assert Markup("<b>{}</b>").format(Html("<i>x</i>")) == "<b><i>x</i></b>"


def test_the_wheel_carries_every_template(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = settings["package-data"]["ftkit.report"]
    templates = list((root / "ftkit").rglob("*.j2"))
    carried = [path for pattern in patterns for path in (root / "ftkit" / "report").glob(pattern)]
    assert sorted(carried) == sorted(templates) != []
