"""A tools file declares tools without code; what is wrong in it is told by the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.declared_tools import only_for_now
from support.paths import ROOT
from swapjobs.contract.errors import SettingsError
from swapjobs.contract.vendor_tools.reply import Family
from swapjobs.contract.vendor_tools.table import TOOLS, declare
from swapjobs.contract.vendor_tools.tools_file import ToolsFileError, read_tools
from swapjobs.settings import CoreSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HAIR = """\
["hair/change"]
title = "Hairstyle changer"
family = "A"
callback = true

["hair/change".input]
image = { type = "url", vendor = "imageUrl", required = true }
style_id = { type = "integer", range = [1, 20] }
mood = { type = "text", choices = ["calm", "wild"] }
"""
IN_YAML = """\
hair/change:
  title: Hairstyle changer
  family: A
  callback: true
  input:
    image: {type: url, vendor: imageUrl, required: true}
    style_id: {type: integer, range: [1, 20]}
    mood: {type: text, choices: [calm, wild]}
"""


@pytest.fixture(autouse=True)
def same_tools_afterwards() -> Iterator[None]:
    with only_for_now():
        yield


@pytest.mark.parametrize(("text", "name"), [(HAIR, "tools.toml"), (IN_YAML, "tools.yaml")])
def test_a_declared_tool_is_one_like_any_other(text: str, name: str) -> None:
    (tool,) = read_tools(text, name)
    assert (tool.name, tool.path, tool.takes_callback, tool.is_declared) == (
        "hair/change",
        "tool/hair/change",
        True,
        True,
    )
    assert tool.query is not None
    assert [way.path for way in tool.query.ways] == ["tool/hair/change/queryTask"]
    assert tool.reply.family is Family.ACKNOWLEDGED
    given = tool.input.model_validate({"image": "https://a.example/x.jpg", "style_id": "7", "mood": "calm"})
    body = {"imageUrl": "https://a.example/x.jpg", "styleId": 7, "mood": "calm"}
    assert given.body() == body
    assert tool.input.from_body({**body, "new": 1}) == given
    for wrong in ({"style_id": 21}, {"mood": "sad"}, {"colour": 1}, {"image": "ftp://x"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            tool.input.model_validate({"image": "https://a.example/x.jpg", **wrong})


def test_a_row_that_is_there_can_be_told_better() -> None:
    text = """
["modelTraining/submitTraining/Job"]
title = "Submit training task"
path = "modelTraining/submitTraining/Job"
family = "A"
id_field = "taskId"
query_path = "modelTraining/queryTraining/Job"
poll_s = [900, 7200, 172800]
["modelTraining/submitTraining/Job".input]
file_url_list = { type = "urls", required = true }
"""
    (tool,) = read_tools(text, "t.toml")
    assert tool.query is not None
    assert [way.path for way in tool.query.ways] == ["modelTraining/queryTraining/Job"]
    assert tool.patience is not None
    assert (tool.id_path, tool.patience.give_up_s) == (("taskId",), 172_800)
    declare([tool])
    assert TOOLS[tool.name].query == tool.query


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        (
            HAIR + "tone = { type = 'text', range = [1, 2] }\n",
            "t.toml",
            "t.toml, line 10: hair/change: input.tone: range",
        ),
        (HAIR.replace("title =", "titel ="), "t.toml", "t.toml, line 1: hair/change: title: is missing"),
        (
            HAIR.replace('family = "A"', 'family = "L"'),
            "t.toml",
            "t.toml, line 3: hair/change: family: must be one of R, T, A, Q",
        ),
        (HAIR.replace("image =", "Image ="), "t.toml", "t.toml, line 7: hair/change: input.Image: a field is named in"),
        (HAIR.replace('"url"', '"uri"'), "t.toml", "t.toml, line 7: hair/change: input.image.type: must be one of"),
        (
            IN_YAML.replace("callback", "calback"),
            "t.yml",
            "t.yml, line 4: hair/change: calback: is no field here",
        ),
        (IN_YAML.replace("range: [1, 20]", "range: 1"), "t.yaml", "t.yaml, line 7: hair/change: input.style_id.range"),
        ('["a b"]\ntitle = "x"', "t.toml", "t.toml, line 1: a b: is no tool code"),
        ('x = 1\n["roop"]\ntitle = "x"', "t.toml", "t.toml, line 1: x: must be"),
        ('\n["roop"]\ntitle = "x"', "t.toml", "t.toml, line 2: roop: is a swap tool, which is as it is"),
        ("x = [", "t.toml", "t.toml: is not TOML: "),
        ("\na: [", "t.yml", "t.yml: line 2: is not YAML: "),
        ("- a\n", "t.yml", "t.yml: is no mapping of tool codes"),
        ("", "t.json", "t.json: must end in .toml, .yaml or .yml"),
    ],
)
def test_what_is_wrong_is_told_by_the_line(text: str, name: str, complaint: str) -> None:
    with pytest.raises(ToolsFileError) as refused:
        read_tools(text, name)
    assert str(refused.value).startswith(complaint)
    assert "\n" not in str(refused.value)


def test_the_example_can_be_used_and_says_what_is_not_known() -> None:
    tools = read_tools((ROOT / "ops/tools.example.toml").read_text(encoding="utf-8"), "tools.example.toml")
    assert len(tools) == 7
    assert all("unknown" in tool.marks.values() for tool in tools)


def test_settings_make_the_tools_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tools.toml"
    monkeypatch.setenv("SWAPJOBS_TOOLS_FILE", str(file))
    monkeypatch.setenv("SWAPJOBS_PRICES", "hair/change = 0.5, roop=0.02")
    with pytest.raises(SettingsError, match=r"SWAPJOBS_TOOLS_FILE: .*tools.toml: No such file"):
        load_settings(CoreSettings)
    file.write_text(HAIR, encoding="utf-8")
    settings: Any = load_settings(CoreSettings)
    assert settings.prices == {"hair/change": 0.5, "roop": 0.02}
    assert TOOLS["hair/change"].is_declared
    monkeypatch.setenv("SWAPJOBS_PRICES", "rop=1")
    with pytest.raises(SettingsError, match=r"^SWAPJOBS_PRICES: 'rop' is no tool: .* did you mean roop"):
        load_settings(CoreSettings)
