"""Every tool that is known, from the request to its outputs: through Python, the command line, HTTP and a batch."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from support.builders import wait_until
from support.processes import Program
from support.tools_stage import KEY
from swapjobs import ImageOutput, Job, JobRequest, JobState, JsonOutput, SwapClient, TextOutput, VendorUnavailable
from swapjobs.contract.vendor_tools.table import TOOLS
from swapjobs.settings import CoreSettings
from swapjobs.tools import ImageDescription

if TYPE_CHECKING:
    from support.tools_stage import Stage

pytestmark = pytest.mark.slow


def given_to(tool: str, pictures: str) -> dict[str, Any]:
    """Return what the tool is given here: sample pictures of the sandbox."""
    face, other = f"{pictures}/hopper.jpg", f"{pictures}/collins.png"
    swap = {"source_url": face, "target_url": other}
    inputs: dict[str, dict[str, Any]] = {
        "roop": swap,
        "v2/roop": {**swap, "fidelity_weight": 0.4},
        "face/fusion": {**swap, "face_idx": 1},
        "face/detection": {"image_url": f"{pictures}/group.jpg"},
        "instantID": {"image": face, "prompt": "a ceramic doll", "width": 320, "height": 320},
        "comfyui/text2image": {"comfy_task_type": "Flux1DevFP8", "prompt": "a lighthouse", "width": 320, "height": 240},
        "interrogate": {"image": face},
        "prompts/expand": {"source_prompt": "a cat", "mode": 0, "sequences_num": 2},
        "identifyStyle": {"source_image": face},
        "imgExpand": {
            "source_image": face,
            "image_count": 2,
            "vertical_expansion_ratio": 1.25,
            "horizontal_expansion_ratio": 1.5,
        },
        "cnt/preview": {"source_image": face, "preprocessor": "canny"},
        "sd/v2/text2image": {"prompt": "a boat", "batch_size": 2, "n_iter": 2, "seed": "7", "width": 256},
        "sd/v2/image2image": {"prompt": "in oil", "batch_size": 1, "image_link": face},
        "sd/v2/controlnet": {"prompt": "a robot", "controls": [{"kind": "canny"}], "width": 256},
        "modelTraining/submitTraining/Job": {"file_url_list": [face] * 10},
        "hair/change": {"image": face, "hair_style": "bob"},
        "codeformer": {"image": face},
        "your-code/super-resolution": {"image": face, "scale": 1.5},
        "your-code/object-removal": {"image": face, "mask": other},
        "your-code/background-remove": {"image": face},
        "your-code/image-enlarge": {"image": face},
        "your-code/image-watermark": {"image": face, "text": "mine"},
    }
    return inputs[tool]


PICTURES = {
    **dict.fromkeys(("roop", "v2/roop", "face/fusion", "instantID", "comfyui/text2image", "cnt/preview"), 1),
    "imgExpand": 2,
    "sd/v2/text2image": 4,
    "sd/v2/image2image": 1,
    "sd/v2/controlnet": 1,
}
DECLARED = (
    *("hair/change", "codeformer", "your-code/super-resolution", "your-code/object-removal"),
    *("your-code/background-remove", "your-code/image-enlarge", "your-code/image-watermark"),
)


def done(stage: Stage, job_id: str) -> Job:
    job = stage.client.wait(job_id, 60)
    assert job.state is JobState.SUCCEEDED, job.error
    return job


def ended(stage: Stage, tool: str, **more: Any) -> Job:
    """Return a job of this tool at its end."""
    given = given_to(tool, stage.pictures)
    return done(stage, stage.client.submit(JobRequest.parse({"tool": tool, "input": given, **more})).id)


def size_of(url: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(httpx.get(url, trust_env=False).raise_for_status().content)) as image:
        return image.size


def test_no_tool_is_forgotten(stage: Stage) -> None:
    for name, tool in TOOLS.items():
        assert not tool.is_task or given_to(name, stage.pictures)
    assert {name for name, tool in TOOLS.items() if tool.is_declared} == set(DECLARED)


@pytest.mark.parametrize("tool", PICTURES)
def test_tools_that_give_pictures_give_all_of_them(stage: Stage, tool: str) -> None:
    job = ended(stage, tool)
    images = [output for output in job.outputs if isinstance(output, ImageOutput)]
    assert len(images) == len(job.outputs) == PICTURES[tool]
    assert job.output_url == images[0].url
    assert all(min(size_of(image.url)) >= 240 for image in images)
    assert job.input == given_to(tool, stage.pictures)


@pytest.mark.parametrize("tool", DECLARED)
def test_tools_of_the_tools_file_are_like_any_other(stage: Stage, tool: str) -> None:
    job = ended(stage, tool)
    assert job.output_url is not None
    assert min(size_of(job.output_url)) >= 512


def test_what_sd_tools_tell_of_each_picture_is_kept(stage: Stage) -> None:
    job = ended(stage, "sd/v2/text2image")
    images = [output for output in job.outputs if isinstance(output, ImageOutput)]
    assert [image.seed for image in images] == ["7", "8", "9", "10"]
    assert all(image.audit_passed and image.audit == [{"confidence": None, "label": "nonLabel"}] for image in images)


def test_faces_are_found_from_left_to_right(stage: Stage) -> None:
    (found_there,) = ended(stage, "face/detection").outputs
    assert isinstance(found_there, JsonOutput)
    value: Any = found_there.value
    assert [face["faceIdx"] for face in value["faces"]] == [1, 2]
    assert value["faces"][0]["box"][0] < value["faces"][1]["box"][0]


def test_texts_are_outputs_too(stage: Stage) -> None:
    (caption,) = ended(stage, "interrogate").outputs
    assert isinstance(caption, TextOutput)
    assert "one face" in caption.text
    prompts = [output.text for output in ended(stage, "prompts/expand").outputs if isinstance(output, TextOutput)]
    assert len(set(prompts)) == 2
    assert all(prompt.startswith("a cat, ") for prompt in prompts)
    (style,) = ended(stage, "identifyStyle").outputs
    assert isinstance(style, JsonOutput)


def test_a_training_is_done_when_it_was_accepted(stage: Stage) -> None:
    """How its end is asked for is not public."""
    (accepted,) = ended(stage, "modelTraining/submitTraining/Job").outputs
    assert isinstance(accepted, JsonOutput)


def test_what_the_vendor_cannot_do_is_told_in_its_words(stage: Stage) -> None:
    given = {"source_image": f"{stage.pictures}/hopper.jpg", "preprocessor": "clairvoyance"}
    job = stage.client.wait(stage.client.submit(JobRequest.parse({"tool": "cnt/preview", "input": given})).id, 60)
    assert (job.state, job.outputs) == (JobState.FAILED, ())
    assert job.error is not None
    assert job.error.message.startswith("PREPROCESSOR_UNKNOWN: ")


def swapjobs(stage: Stage, *arguments: str) -> tuple[int, str]:
    """Run the command line to its end; return exit status and output."""
    with Program("swapjobs", *arguments, cwd=stage.folder, env=stage.environment) as program:
        status = program.process.wait(60)
    return status, program.output


def test_the_command_line_has_a_command_for_each_tool(stage: Stage) -> None:
    url = f"{stage.pictures}/hopper.jpg"
    own_id = ("--business-task-id", "cli-1")
    status, output = swapjobs(stage, "run", "interrogate", "--image", url, "--wait", "--json", *own_id)
    assert status == 0, output
    job = json.loads(output)
    assert (job["tool"], job["business_task_id"], job["outputs"][0]["kind"]) == ("interrogate", "cli-1", "text")
    given = ["--file-url-list", url] * 10
    assert swapjobs(stage, "run", "modelTraining/submitTraining/Job", *given, "--max-epochs", "12")[0] == 0
    more = ["--prompt", "x", "--field", 'controls=[{"kind": "canny"}]']
    assert swapjobs(stage, "run", "sd/v2/controlnet", *more)[0] == 0
    assert swapjobs(stage, "run", "hair/change", "--image", url, "--wait")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["run", "interrogate"], 2, "Missing option '--image'"),
        (["run", "interrogate", "--image", "ftp://x"], 2, "input.image: must begin with http:// or https://"),
        (["run", "prompts/expand", "--source-prompt", "x", "--mode", "3"], 2, "input.mode: must be one of 0, 1"),
        (["run", "nothing"], 2, "'nothing' is no tool that swapjobs tools lists\n"),
        (["run", "interogate"], 2, "'interogate' is no tool that swapjobs tools lists; did you mean interrogate?"),
        (["run", "hair/chagne"], 2, "did you mean hair/change?"),
        (["run", "--nothing"], 2, "No such option: --nothing"),
        (["run", "interrogate", "--imag", "x"], 2, "Possible options: --image"),
        (["tools", "show", "nothing"], 2, "'nothing' is no tool that swapjobs tools lists\n"),
        (["tools", "show", "interogate"], 2, "did you mean interrogate?"),
        (["list", "--tool", "interogate"], 2, "did you mean interrogate?"),
        (["operation", "start", "retry", "--tool", "interogate"], 2, "did you mean interrogate?"),
    ],
)
def test_a_slip_on_the_command_line_is_one_clear_line(
    stage: Stage, arguments: list[str], status: int, complaint: str
) -> None:
    ended_with, output = swapjobs(stage, *arguments)
    assert ended_with == status
    assert complaint in output
    assert "Traceback" not in output


def test_the_command_line_tells_what_there_is(stage: Stage) -> None:
    listed = swapjobs(stage, "tools")[1]
    assert swapjobs(stage, "tools", "list") == (0, listed)
    assert all(name in listed for name in TOOLS)
    shown = swapjobs(stage, "tools", "show", "imgExpand")[1]
    assert "image_count" in shown
    assert "required" in shown
    assert "--comfy-task-type" in swapjobs(stage, "run", "comfyui/text2image", "--help")[1]
    whole = json.loads(swapjobs(stage, "tools", "--json")[1])
    assert {tool["name"] for tool in whole} == set(TOOLS)


def test_over_http_a_tool_takes_its_input(stage: Stage) -> None:
    body = {"tool": "interrogate", "input": {"image": f"{stage.pictures}/hopper.jpg"}}
    answer = stage.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["kind"] == "text"
    wrong = stage.http.post("/v1/jobs", json={**body, "input": {"picture": "x"}})
    assert wrong.status_code == 422
    assert wrong.json()["field"].startswith("input.")
    swap = {"source_url": f"{stage.pictures}/hopper.jpg", "target_url": f"{stage.pictures}/collins.png"}
    ids = [
        stage.http.post("/v1/jobs", json={**asked, "business_task_id": "both-forms"}).json()["id"]
        for asked in (swap, {"tool": "roop", "input": swap})
    ]
    assert ids[0] == ids[1]


def test_a_batch_mixes_tools(stage: Stage) -> None:
    url = f"{stage.pictures}/hopper.jpg"
    rows = [
        "tool,business_task_id,source_url,target_url,input.image,input.source_prompt,input.mode\r\n",
        f",m-1,{url},{stage.pictures}/collins.png,,,\r\n",
        f"interrogate,m-2,,,{url},,\r\n",
        "prompts/expand,m-3,,,,a cat,1\r\n",
        "prompts/expand,m-4,,,,a cat,7\r\n",
    ]
    path = stage.folder / "rows.csv"
    path.write_text("".join(rows), encoding="utf-8")
    output = swapjobs(stage, "batch", "submit", str(path), "--batch-id", "mixed", "--json")[1]
    outcomes = [json.loads(line) for line in output.splitlines() if line.startswith("{")][:4]
    assert [outcome["outcome"] for outcome in outcomes] == ["created", "created", "created", "invalid"], output
    assert "input.mode" in outcomes[3]["error"]
    jobs = [done(stage, outcome["id"]) for outcome in outcomes[:3]]
    assert [job.outputs[0].kind for job in jobs] == ["image", "text", "text"]
    assert stage.http.get("/v1/batches/mixed/report").text.count("a cat, ") == 1
    status, sheet = swapjobs(stage, "list", "--batch", "mixed", "--csv")
    rows_there = list(csv.DictReader(io.StringIO(sheet)))
    assert status == 0
    assert [row["outputs"] for row in rows_there] == [
        "".join(getattr(output, "url", "") or getattr(output, "text", "") for output in job.outputs)
        for job in reversed(jobs)
    ]


def test_the_list_of_models_is_a_question_and_no_job(stage: Stage) -> None:
    before = stage.vendor.get("stats")
    page = stage.client.models(page_size=2, page_num=2)
    assert (len(page.rows), page.total, page.page_num) == (2, 23, 2)
    name = str(page.rows[0]["sdModelCheckpoint"])
    one = stage.http.get("/v1/models", params={"sd_model_checkpoint": name}).json()
    assert (one["total"], one["rows"]) == (1, [page.rows[0]])
    shown = swapjobs(stage, "tools", "models", "--page-size", "3")
    assert shown[1].splitlines()[-2:] == ["3 of 23", "more: --page 2 --page-size 3"]
    shown = swapjobs(stage, "tools", "models", "--page-size", "3", "--page", "8")
    assert shown[1].splitlines()[-1] == "2 of 23"
    theirs = stage.http.post(
        "/AIGCImgOpenServ/saas/sd/v2/queryModelList",
        json={"pageSize": 5, "pageNum": 5},
        headers={"X-Request-req-accessKeyId": "default", "X-Request-req-accessKeySecret": KEY},
    ).json()
    assert (theirs["code"], len(theirs["data"]["rows"]), theirs["data"]["pageNum"]) == ("200", 3, 5)
    after = stage.vendor.get("stats")
    assert (after["lists"] - before["lists"], after["calls"] - before["calls"]) == (5, 0)


def test_a_list_that_cannot_be_had_is_told(stage: Stage) -> None:
    stage.client.operator.pause()
    try:
        with pytest.raises(VendorUnavailable, match="dispatch is paused"):
            stage.client.models()
        answer = stage.http.get("/v1/models")
        assert (answer.status_code, answer.json()["code"]) == (502, "vendor_unavailable")
        assert swapjobs(stage, "tools", "models")[0] == 4
    finally:
        stage.client.operator.resume()


@pytest.mark.parametrize("tool", ["prompts/expand", "imgExpand", "sd/v2/controlnet", "hair/change"])
def test_a_reply_that_was_lost_is_looked_up_and_paid_once(stage: Stage, tool: str) -> None:
    own_id = f"lost-{tool.replace('/', '-')}"
    stage.vendor.faults(f"lost_reply:id={own_id}")
    ended(stage, tool, business_task_id=own_id)
    stage.vendor.faults()
    books = stage.vendor.get("tasks")[own_id]
    assert (books["calls"], books["billed"]) == (1, 1)


@pytest.mark.parametrize("tool", ["interrogate", "identifyStyle", "sd/v2/text2image"])
def test_a_failure_is_a_failure_in_every_family_and_costs_nothing(stage: Stage, tool: str) -> None:
    own_id = f"bad-{tool.replace('/', '-')}"
    stage.vendor.faults(f"status_2:id={own_id},msg=no good")
    given = given_to(tool, stage.pictures)
    asked = {"tool": tool, "input": given, "business_task_id": own_id}
    job = stage.client.wait(stage.client.submit(JobRequest.parse(asked)).id, 60)
    stage.vendor.faults()
    assert (job.state, job.outputs) == (JobState.FAILED, ())
    assert job.error is not None
    assert job.error.message == "no good"
    assert stage.vendor.get("tasks")[own_id]["billed"] == 0


def test_declared_tools_are_in_the_openapi_document(stage: Stage) -> None:
    schemas = stage.http.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["JobRequestHairChange"]["properties"]["input"]["required"] == ["image"]


def test_callbacks_take_the_place_of_most_questions(stage: Stage) -> None:
    """With a first question two minutes away, a job that the vendor works on ends all the same."""
    stage.vendor.faults("pending:s=0.5,prefix=called-")
    before = stage.vendor.get("stats")
    given = given_to("imgExpand", stage.pictures)
    asked = [{"tool": "imgExpand", "input": given, "business_task_id": f"called-{n}"} for n in range(5)]
    for submission in list(stage.client.submit_many(asked)):
        done(stage, str(submission.id))
    stage.vendor.faults()
    after = stage.vendor.get("stats")
    assert after["callbacks"] - before["callbacks"] == 5
    assert after["queries"] - before["queries"] <= 10
    assert stage.client.operator.status().in_flight == 0


def test_nobody_can_guess_where_the_vendor_calls_back(stage: Stage) -> None:
    job = ended(stage, "interrogate")
    for code in (job.id, f"{job.id}.", f"{job.id}.{'a' * 24}", "x.y", "%00.", "é.é"):
        assert stage.http.post(f"/vendor/callback/{code}", json={}).status_code == 404
    assert stage.http.get(f"/vendor/callback/{job.id}").status_code in {404, 405}


@pytest.mark.parametrize("tool", ["interrogate", "identifyStyle", "sd/v2/text2image", "hair/change"])
def test_the_vendors_own_paths_take_every_tool(stage: Stage, tool: str) -> None:
    row = TOOLS[tool]
    headers = {"X-Request-req-accessKeyId": "default", "X-Request-req-accessKeySecret": KEY}
    given = row.input.model_validate(given_to(tool, stage.pictures)).body()
    body = row.with_id(given, f"theirs-{tool.replace('/', '-')}")
    direct = stage.http.post(f"/AIGCImgOpenServ/saas/{row.path}", json=body, headers=headers).json()
    assert direct["code"] == "200", direct
    assert ("task_id" in direct["data"]) == (not row.answers_at_once)
    assert row.query is not None
    path, reply = f"/AIGCImgOpenServ/saas/{row.query.ways[-1].path}", row.query.reply

    def answer() -> Any:
        asked = {"businessTaskId": f"theirs-{tool.replace('/', '-')}"}
        return stage.http.post(path, json=asked, headers=headers).json()

    wait_until(lambda: answer()["data"]["status"] in reply.finished, what=tool)
    assert answer()["data"][reply.result or "style"]


def test_the_typed_input_is_enough(stage: Stage) -> None:
    with SwapClient(CoreSettings(redis_url=stage.environment["SWAPJOBS_REDIS_URL"])) as client:
        request = JobRequest(input=ImageDescription(image=f"{stage.pictures}/hopper.jpg"))
        assert client.wait(client.submit(request).id, 60).outputs[0].kind == "text"
