"""Drawings of models are taken apart and made harmless."""

import msgspec
import pytest

from workflows.agents import drawings
from workflows.agents.drawings import elements_in
from workflows.engine.errors import ValueMisfit


@pytest.mark.parametrize(
    "harmful",
    [
        "<script>alert(1)</script>",
        "<style>@import url(http://evil)</style>",
        "<foreignObject><p>evil</p></foreignObject>",
        '<rect onload="evil()"/>',
        '<a href="javascript:evil()"/>',
        '<a xlink:href="java script:evil()"/>',
        '<image href="http://evil/a.png"/>',
        '<image href="//evil/a.png"/>',
        '<use href="data:image/svg+xml,evil"/>',
        '<rect fill="url(http://evil)"/>',
        '<animate attributeName="href" to="https://evil"/>',
    ],
)
def test_what_runs_or_leads_outside_is_left_out(harmful):
    svg = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink">{harmful}</svg>'

    (drawn,) = elements_in(svg)

    assert b"evil" not in msgspec.json.encode(drawn["children"])
    assert b"alert" not in msgspec.json.encode(drawn)


def test_references_inside_the_drawing_stay():
    (drawn,) = elements_in('<svg><use href="#a"/><rect fill="url(#b)"/></svg>')

    assert [each["attributes"] for each in drawn["children"]] == [
        {"href": "#a"},
        {"fill": "url(#b)"},
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nothing", "there is no <svg> element"),
        ("<svg><rect></svg>", "the SVG is broken"),
        ("<svg>&evil;</svg>", "the SVG is broken"),
        (f"<svg>{'<g>' * 40}{'</g>' * 40}</svg>", "more than 5000 elements or 32"),
        (f"<svg>{'<g/>' * 5_000}</svg>", "more than 5000 elements or 32"),
    ],
)
def test_what_is_no_drawing_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueMisfit, match=reason):
        elements_in(text)


def test_a_drawing_declares_no_entities(monkeypatch):
    monkeypatch.setattr(drawings, "_DRAWING", drawings.re.compile("(?s).*"))

    with pytest.raises(ValueMisfit, match="document type of its own"):
        elements_in('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>')
