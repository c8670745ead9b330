"""The jobs in a browser: found, filtered, looked at, acted upon; and nothing hostile in them runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from support.builders import claim, make_request, submit
from support.console import Console, fail, failed, succeed
from support.processes import ACME_KEY, ZETA_KEY
from swapjobs.contract.lifecycle import Event
from swapjobs.contract.vendor_ids import vendor_id
from swapjobs.store import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from support.console import Keys
    from support.processes import GatewayProcess
    from swapjobs import SwapClient
    from swapjobs.store.store import Store

OWNED: Final = "document.title='owned'"
HOSTILE: Final = f"</pre></script><script>{OWNED}</script><img src=x onerror={OWNED}>"


def test_a_job_is_found_by_our_id_the_products_and_the_vendors(console: Console, keys: Keys, store: Store) -> None:
    id_ = submit(store, tenant="acme", business_task_id="order 47/11")
    submit(store, tenant="zeta", business_task_id="order-2")
    console.sign_in(keys.operator)
    for text in (id_, "order 47/11", vendor_id(id_, "acme", "order 47/11", 2, prefix="test.")):
        console.page.keyboard.press("/")
        console.page.keyboard.type(text)
        console.page.keyboard.press("Enter")
        console.page.wait_for_url(f"{console.url}/jobs/{id_}")
        expect(console.page.get_by_role("heading", level=1)).to_contain_text("order 47/11")
    submit(store, tenant="zeta", business_task_id="order 47/11")
    console.see("/search?q=order%2047/11")
    assert console.ids() == ["order 47/11"] * 2
    assert console.see("/search?q=nothing") == 404
    assert "Nothing has this id" in console.text()


def test_filters_are_an_address_that_shows_the_same_to_a_colleague(
    console: Console, keys: Keys, store: Store, client: SwapClient
) -> None:
    for number in range(3):
        failed(store, tenant="acme", business_task_id=f"face-{number}", batch_id="spring")
    fail(store, submit(store, tenant="acme", business_task_id="url-1"), "image_unreachable")
    failed(store, tenant="zeta", business_task_id="face-9", tool="v2/roop")
    succeed(store, submit(store, tenant="acme", business_task_id="fine"))
    console.sign_in(keys.operator)
    console.see("/jobs")
    assert len(console.ids()) == 6
    chosen = (("State", "failed"), ("Error code", "no_face"), ("Tenant", "acme"), ("Created", "1h"))
    for label, value in chosen:
        console.page.get_by_role("combobox", name=label, exact=True).select_option(value)
    console.page.get_by_label("Batch", exact=True).fill("spring")
    console.page.get_by_role("button", name="Filter").click()
    console.page.wait_for_url("**/jobs?**")
    assert console.ids() == ["face-2", "face-1", "face-0"]
    asked = parse_qs(urlsplit(console.page.url).query)
    assert asked == {
        "state": ["failed"], "code": ["no_face"], "tenant": ["acme"], "since": ["1h"], "batch": ["spring"],
    }  # fmt: skip
    console.page.reload()
    assert console.ids() == ["face-2", "face-1", "face-0"]
    assert console.page.get_by_role("combobox", name="Error code").input_value() == "no_face"
    for query, ids in (("tool=v2/roop", ["face-9"]), ("code=image_unreachable", ["url-1"]), ("state=queued", [])):
        assert console.see(f"/jobs?{query}") == 200
        assert console.ids() == ids
    for query, wrong in (("state=done", "state: must be one of"), ("after=yesterday", "after: must be a time")):
        assert console.see(f"/jobs?{query}") == 422
        expect(console.page.get_by_role("alert")).to_contain_text(wrong)
    assert client.list(tenant="acme", batch_id="spring").jobs


def test_times_are_those_of_the_place_and_are_asked_for_in_utc(
    browser: Browser, console: Console, keys: Keys, store: Store
) -> None:
    submit(store, tenant="acme")
    root = console.url.removesuffix("/console")
    with Console.open(browser, root, timezone_id="Asia/Kathmandu") as far_away:
        far_away.sign_in(keys.operator)
        far_away.see("/jobs")
        time = far_away.page.locator("#rows time").first
        expect(time).to_have_attribute("title", re.compile(r"UTC\+05:45"))
        at = str(time.get_attribute("datetime"))
        far_away.page.get_by_text("exact times").click()
        far_away.page.locator("form.filters input[name=after]").fill("2026-01-02T03:04:05")
        far_away.page.get_by_role("button", name="Filter").click()
        far_away.page.wait_for_url("**after=2026-01-01T21%3A19%3A05.000Z")
        assert far_away.page.locator("form.filters input[name=after]").input_value() == "2026-01-02T03:04:05"
        assert at.endswith("+00:00")


def test_a_list_is_paged_through_and_changes_in_place(
    console: Console, keys: Keys, store: Store, client: SwapClient
) -> None:
    ids = [str(item.id) for item in client.submit_many([make_request(tenant="acme") for _ in range(70)])]
    console.sign_in(keys.acme)
    console.see("/jobs")
    first = console.ids()
    console.page.get_by_role("link", name="older").click()
    expect(console.page.locator("#rows tr")).to_have_count(20)
    assert len({*first, *console.ids()}) == 70
    console.page.get_by_role("link", name="newest").click()
    expect(console.page.locator("#rows tr")).to_have_count(50)
    row = console.page.locator(f"#job-{ids[-3]}")
    before = row.bounding_box()
    client.cancel(ids[-3])
    submit(store, tenant="acme")
    expect(row.locator(".pill")).to_have_text("cancelled")
    expect(console.page.locator("#newer")).to_contain_text("1 newer job")
    after = row.bounding_box()
    assert console.ids() == first
    assert before
    assert after
    assert before == after
    console.page.locator("#newer a").click()
    expect(console.page.locator("#newer")).to_be_empty()
    assert console.problems == []


def test_a_job_is_seen_to_change_and_is_retried(console: Console, keys: Keys, store: Store, client: SwapClient) -> None:
    id_ = submit(store, tenant="acme", business_task_id="order-1")
    console.sign_in(keys.acme)
    console.see(f"/jobs/{id_}")
    expect(console.page.locator(".why")).to_contain_text("no worker is there")
    claimed = claim(store, id_)
    entry = record.entry(
        "attempt", code="vendor_error", message="the vendor answered 503", at=claimed.now_ms, duration_ms=40, status=503
    )
    patch: dict[str, Any] = {"attempts": 1, "reason": "retry", "next_call": "swap"}
    store.attempts.record_outcome(claimed, Event.WAIT, patch=patch, entry=entry, schedule="retry", delay_s=3600)
    expect(console.page.locator("h1 .pill")).to_have_text("waiting")
    expect(console.page.locator(".timeline .attempt")).to_contain_text("HTTP 503")
    expect(console.page.locator(".why")).to_contain_text("before its next attempt")
    console.page.get_by_role("button", name="Cancel").click()
    console.page.get_by_role("button", name="No, back").click()
    assert client.get(id_).state == "waiting"
    console.page.get_by_role("button", name="Cancel").click()
    console.confirm()
    expect(console.page.locator(".done")).to_contain_text("It is cancelled")
    console.page.get_by_role("button", name="Retry").click()
    expect(console.page.locator(".done")).to_contain_text("queued again")
    expect(console.page.locator("h1 .pill")).to_have_text("queued")
    succeed(store, id_)
    expect(console.page.locator("h1 .pill")).to_have_text("succeeded")
    expect(console.page.locator(".timeline")).to_contain_text("retried by hand, round 2")
    expect(console.page.locator(".timeline .attempt.succeeded")).to_contain_text("cost 0.04")
    assert console.problems == []


def test_all_that_fit_are_cancelled_after_they_were_counted(
    console: Console, keys: Keys, store: Store, client: SwapClient
) -> None:
    ids = [str(item.id) for item in client.submit_many([make_request(tenant="acme", tool="v2/roop")] * 1)]
    ids += [str(item.id) for item in client.submit_many([make_request(tenant="acme") for _ in range(130)])]
    other = submit(store, tenant="zeta")
    console.sign_in(keys.operator)
    console.see("/jobs?tenant=acme&state=queued&tool=roop")
    console.page.get_by_text("Act on all that fit").click()
    console.page.get_by_role("button", name="Cancel").click()
    expect(console.page.locator(".big")).to_have_text("130 jobs will be cancelled.")
    later = submit(store, tenant="acme")
    console.page.get_by_role("button", name="Cancel 130 jobs").click()
    expect(console.page.locator(".pill.done")).to_be_visible()
    expect(console.page.get_by_role("status")).to_contain_text("130 jobs changed")
    states = [store.jobs.get(id_).fields["state"] for id_ in (*ids, other, later)]
    assert states == ["queued", *["cancelled"] * 130, "queued", "queued"]
    console.see("/operations")
    expect(console.page.locator("[data-row]")).to_have_count(1)
    assert console.problems == []


def test_what_callers_and_the_vendor_wrote_is_shown_and_does_not_run(
    console: Console, keys: Keys, store: Store
) -> None:
    """In metadata, in a file's name, in the vendor's words, in a URL that the vendor gave for a picture."""
    hostile_url = f"https://pictures.example/%22%3E{HOSTILE}/x.jpg?sig=SECRET".replace(" ", "%20")
    id_ = submit(
        store,
        tenant="acme",
        business_task_id=f"<b>{OWNED}</b>",
        source_url=hostile_url,
        metadata={HOSTILE: HOSTILE},
        callback_url="https://hooks.example/in?token=SECRET",
    )
    fail(store, id_, "swap_failed", HOSTILE)
    done = succeed(store, submit(store, tenant="acme", batch_id="b-1"), f"javascript:{OWNED}")
    console.sign_in(keys.acme)
    for place in ("/jobs", f"/jobs/{id_}", f"/jobs/{done}", f"/search?q={HOSTILE}", f"/jobs?batch={HOSTILE}",
                  f"/jobs?cursor={HOSTILE}", f"/webhooks?state={HOSTILE}", "/batches/acme/b-1", f"/audit?action={HOSTILE[:30]}"):  # fmt: skip # noqa: E501
        console.see(place)
        console.page.wait_for_load_state("networkidle") if "jobs" not in place else console.page.wait_for_timeout(50)
        assert console.page.title() != "owned", place
        content = console.page.locator("body").inner_text()
        assert "SECRET" not in content, place
        assert console.page.locator("main script").count() == 0
        assert not [
            url
            for url in console.page.eval_on_selector_all(
                "[href], [src]", "all => all.map(one => one.getAttribute('href') || one.getAttribute('src'))"
            )
            if "javascript:" in url
        ]
    console.see(f"/jobs/{id_}")
    assert HOSTILE in console.page.locator("pre").inner_text()
    assert HOSTILE in console.page.locator(".wrong").inner_text()
    assert console.problems == []


@pytest.mark.parametrize("allowed", [True, False])
def test_pictures_are_loaded_by_the_viewers_browser_only_where_they_may_be(
    browser: Browser, common_gateways: Callable[..., GatewayProcess], keys: Keys, store: Store, *, allowed: bool
) -> None:
    settings = {
        "SWAPJOBS_CONSOLE_PICTURES": "true",
        "SWAPJOBS_PRICES": "roop=0.04",
        "SWAPJOBS_VENDOR_ID_PREFIX": "test.",
    }
    keys_in_settings = f"acme:{ACME_KEY},zeta:{ZETA_KEY}"
    gateway = common_gateways(SWAPJOBS_GATEWAY_KEYS=keys_in_settings, **(settings if allowed else {}))
    id_ = succeed(store, submit(store, tenant="acme", source_url="https://pictures.example/face.jpg?sig=SECRET"))
    asked: list[Any] = []

    def give(route: Any) -> None:
        asked.append(route.request)
        if "out.jpg" in route.request.url:
            route.abort()
        else:
            route.fulfill(body=SVG, content_type="image/svg+xml")

    with Console.open(browser, gateway.url) as console:
        console.page.route("https://pictures.example/**", give)
        console.sign_in(keys.acme)
        for place in ("/jobs", f"/jobs/{id_}"):
            asked.clear()
            console.see(place)
            if allowed:
                expect(console.page.locator("main img.blank")).to_have_count(1)  # can't be loaded, and shown as such
                assert len({request.url for request in asked}) == 3
                assert not [request.url for request in asked if request.headers.get("referer")]
                assert "https://pictures.example/face.jpg?sig=SECRET" in {request.url for request in asked}
            else:
                expect(console.page.get_by_alt_text("source: not shown here")).to_be_visible()
                assert asked == []
                assert "SECRET" not in console.page.content()
        assert console.problems == []


def test_the_keyboard_is_enough(console: Console, keys: Keys, store: Store) -> None:
    for number in range(3):
        submit(store, tenant="acme", business_task_id=f"order-{number}")
    console.sign_in(keys.operator)
    press = console.page.keyboard.press
    press("g"), press("j")
    console.page.wait_for_url(f"{console.url}/jobs")
    press("j"), press("j"), press("j"), press("k")
    press("Enter")
    expect(console.page.get_by_role("heading", level=1)).to_contain_text("order-1")
    press("?")
    expect(console.page.get_by_role("heading", name="Keyboard")).to_be_visible()
    press("Escape")
    press("b")
    expect(console.page.locator("body.blurred")).to_be_visible()
    console.page.reload()
    expect(console.page.locator("body.blurred")).to_be_visible()


def test_pictures_zoom_together(console: Console, keys: Keys, store: Store) -> None:
    id_ = succeed(store, submit(store, tenant="acme"))
    console.page.route(
        "https://pictures.example/**", lambda route: route.fulfill(body=SVG, content_type="image/svg+xml")
    )
    console.sign_in(keys.operator)
    console.see(f"/jobs/{id_}")
    pictures = console.page.locator(".compare img")
    expect(pictures).to_have_count(3)
    assert {str(box) for box in _sizes(console)} == {str(_sizes(console)[0])}
    console.page.get_by_label("Zoom").fill("3")
    frame = console.page.locator(".compare figure").first.bounding_box()
    assert frame
    console.page.mouse.move(frame["x"] + 100, frame["y"] + 100)
    console.page.mouse.down()
    console.page.mouse.move(frame["x"] + 140, frame["y"] + 120)
    console.page.mouse.up()
    transforms = pictures.evaluate_all("all => all.map(one => getComputedStyle(one).transform)")
    assert {*transforms} == {"matrix(3, 0, 0, 3, 40, 20)"}
    assert {*pictures.evaluate_all("all => all.map(one => getComputedStyle(one).objectFit)")} == {"contain"}


SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 30"><circle cx="20" cy="15" r="9"/></svg>'


def _sizes(console: Console) -> list[tuple[int, int]]:
    boxes = [picture.bounding_box() for picture in console.page.locator(".compare img").all()]
    return [(round(box["width"]), round(box["height"])) for box in boxes if box]
