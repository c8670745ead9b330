"""The table of the vendor's tools: every row is whole, and what it takes goes to the vendor and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import records
from swapjobs import InvalidRequest, JobRequest, SwapRequest
from swapjobs.contract.fetched_urls import in_ascii
from swapjobs.contract.request import as_stored, parse_request
from swapjobs.contract.vendor_tools import generation, image_tools, swaps
from swapjobs.contract.vendor_tools.guidance import example_input
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.store import record
from swapjobs.tools import InstantId, SdTextToImage

if TYPE_CHECKING:
    from swapjobs.contract.vendor_tools.tool import Tool

A, B = "https://pictures.example/a.jpg", "https://pictures.example/b.jpg"
TASKS = [tool for tool in TOOLS.values() if tool.is_task]
each_task = pytest.mark.parametrize("tool", TASKS, ids=lambda tool: tool.name)


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_a_row_says_all_that_the_documents_and_the_command_line_need(tool: Tool) -> None:
    assert tool.description.endswith(".")
    assert set(tool.marks) == {"body", "reply", "result", "callback"}
    assert tool.page.startswith("https://")
    assert not tool.path.startswith("/")


@each_task
def test_what_a_tool_takes_goes_to_the_vendor_and_back(tool: Tool) -> None:
    given = tool.input.model_validate(example_input(tool))
    body = tool.with_id(given.body(), "order-1")
    assert tool.id_in(body) == "order-1"
    assert tool.input.from_body(given.body()) == given
    assert tool.input.model_validate(given.stored()) == given


@each_task
def test_a_request_is_stored_and_read_again(tool: Tool) -> None:
    request = JobRequest.parse({"tool": tool.name, "input": example_input(tool), "business_task_id": "order-1"})
    line = record.pack(as_stored(request))
    kept_as = record.unpack("x", records.packed({}, line))
    assert (kept_as.tool, kept_as.input) == (tool.name, example_input(tool))
    again = parse_request(json.loads(line))
    assert again.fingerprint() == request.fingerprint()


def test_a_swap_is_the_same_job_in_either_form() -> None:
    flat = SwapRequest(source_url=A, target_url=B, tool="v2/roop", fidelity_weight=0.5)
    general = JobRequest(tool="v2/roop", input={"source_url": A, "target_url": B, "fidelity_weight": "0.5"})
    assert flat.fingerprint() == general.fingerprint()
    assert record.pack(as_stored(general)) == record.pack(flat)


def test_a_typed_input_says_which_tool_it_is() -> None:
    request = JobRequest(input=InstantId(image=A, prompt="a doll"))
    assert request.tool == TOOLS["instantID"].name
    with pytest.raises(InvalidRequest, match="does not take the input of instantID"):
        JobRequest.parse({"tool": "interrogate", "input": InstantId(image=A, prompt="a doll")})


@pytest.mark.parametrize(
    ("data", "field", "complaint"),
    [
        ({"tool": "nothing", "input": {}}, "tool", "must be one of roop, "),
        ({"tool": "instantId", "input": {}}, "tool", "did you mean instantID?"),
        ({"tool": "instantID", "input": {"imgae": A, "prompt": "x"}}, "input.image", "did you mean image?"),
        ({"tool": "instantID", "input": {"image": A, "prompt": "x"}, "priorty": "bulk"}, "priorty", "mean priority?"),
        ({"source_url": A, "target_url": A, "buisness_task_id": "x"}, "buisness_task_id", "mean business_task_id?"),
        (None, None, "a request must be a SwapRequest, a JobRequest or a mapping of their fields"),
        ("https://a.example/s.jpg", None, "a request must be a SwapRequest, a JobRequest or a mapping"),
        (
            {"source_ulr": A, "target_url": A},
            "source_url",
            "source_url: is missing; source_ulr: is no field here; did you mean source_url?",
        ),
        (
            {"source_url": "x", "target_url": A, "priorty": "bulk"},
            "source_url",
            "priorty: is no field here; did you mean",
        ),
        (
            {"target_url": A, "colour": 1},
            "source_url",
            "source_url: is missing; colour: is no field here; known are bus",
        ),
        ({"target_url": A, "fidelity_weigth": 1}, "source_url", "did you mean fidelity_weight?"),
        ({"inptu": {"image": A}}, "source_url", "inptu: is no field here; did you mean input?"),
        (
            {"tool": "interrogate", "inptu": {"image": A}},
            "input",
            "image; inptu: is no field here; did you mean input?",
        ),
        ({"tool": "instantID", "input": {"prompt": "x"}}, "input.image", "input.image: is missing"),
        ({"tool": "instantID", "input": {"image": A, "prompt": "x", "colour": 1}}, "input.colour", "is no field here"),
        ({"tool": "interrogate", "input": {"image": "ftp://x"}}, "input.image", "must begin with http"),
        ({"tool": "interrogate", "input": [1]}, "input", "input"),
        ({"tool": "interrogate", "image": A}, "input", "input: what interrogate takes stands in there: image"),
        ({"tool": "instantID", "source_url": A, "target_url": B}, "input", "input: what instantID takes"),
        ({"tool": "sd/v2/queryModelList", "input": {}}, "tool", "answered at once, and no job"),
        ({"tool": "prompts/expand", "input": {"source_prompt": "x", "mode": "2"}}, "input.mode", "must be one of 0, 1"),
        ({"tool": "sd/v2/controlnet", "input": {"prompt": "x", "c": float("nan")}}, "input", "cannot be sent as JSON"),
        ({"tool": "sd/v2/controlnet", "input": {"prompt": "x" * 140_000}}, "input", "larger than"),
    ],
)
def test_a_wrong_request_is_refused_by_the_name_of_the_field(data: Any, field: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_request(data)
    assert refused.value.field == field
    assert complaint in str(refused.value)


def test_what_the_vendors_page_calls_a_default_is_not_sent() -> None:
    assert image_tools.ImageDescription(image=A, model="clip").body() == {"image": A}
    assert image_tools.ImageDescription(image=A, model="deepdanbooru").body() == {"image": A, "model": "deepdanbooru"}


def test_a_new_signature_of_any_url_is_the_same_request() -> None:
    def asked(url: str) -> str:
        given = {"prompt": "x", "batch_size": 1, "image_link": url, "ADetailer": {"mask": [url]}}
        return JobRequest.parse({"tool": "sd/v2/image2image", "input": given}).fingerprint()

    assert asked(f"{A}?v=1&X-Amz-Signature=aa") == asked(f"{A}?v=1&X-Amz-Signature=bb") != asked(f"{A}?v=2")


def test_fields_of_a_page_that_was_not_read_to_its_end_are_passed_on() -> None:
    given = generation.SdControlNet.model_validate({"prompt": "x", "controlnet_args": [{"model": "canny"}]})
    assert given.body() == {"prompt": "x", "controlnet_args": [{"model": "canny"}]}
    with pytest.raises(ValueError, match="Extra inputs"):
        swaps.Roop.model_validate({"source_url": A, "target_url": B, "new": 1})


def test_the_id_of_an_sd_tool_stands_beside_what_is_in_its_scripts() -> None:
    given = SdTextToImage(prompt="x", batch_size=1, sd_model_checkpoint="m", alwayson_scripts={"ADetailer": {"a": 1}})
    body = TOOLS["sd/v2/text2image"].with_id(given.body(), "order-1")
    scripts = {"ADetailer": {"a": 1}, "sd_model_checkpoint": "m", "id_task": "order-1"}
    assert body == {"prompt": "x", "batch_size": 1, "alwayson_scripts": scripts}


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://a.example/图 1.jpg?q=ä#é", "https://a.example/%E5%9B%BE%201.jpg?q=%C3%A4#%C3%A9"),
        ("https://a.example/%E5%9B%BE.jpg?sig=a%2Fb+c", "https://a.example/%E5%9B%BE.jpg?sig=a%2Fb+c"),
    ],
)
def test_letters_beyond_ascii_are_encoded_for_the_vendor(url: str, sent: str) -> None:
    """The vendor's own examples hold a raw space and percent-encoded letters; what it makes of others is not known."""
    assert in_ascii(image_tools.StyleRecognition(source_image=url).source_image) == sent
