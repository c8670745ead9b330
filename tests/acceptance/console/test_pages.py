"""Every page of the console: for everybody, in each language, on any screen, and true."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.builders import claim, make_request, submit
from support.console import Console, fail, failed, succeed
from swapjobs import JobState, SwapClient
from swapjobs.settings import CoreSettings
from swapjobs.store.store import Store, connect
from swapsandbox.processes.redis_server import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

    from support.console import Keys
    from support.processes import GatewayProcess

CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def places(store: Store, client: SwapClient) -> list[str]:
    """One address of each page, with something to see at each."""
    done = succeed(store, submit(store, tenant="acme", metadata={"customer": 7}, batch_id="spring"))
    broken = failed(store, tenant="acme", callback_url="https://hooks.example/in", batch_id="spring")
    claim(store, submit(store, tenant="zeta"))
    store.jobs.submit([make_request(tenant="acme", batch_id="spring") for _ in range(3)])
    delivery = store.deliveries.claim(broken, 30)
    assert delivery is not None
    store.deliveries.settle(
        delivery, "undelivered", status=410, entry='{"kind":"webhook","at":1,"number":1,"duration_ms":9,"status":410}'
    )
    store.endpoints.set(
        "ep_1",
        "acme",
        {"tenant": "acme", "state": "enabled", "version": 1, "created_at": store.now_ms(), "url": "https://a.example/",
         "host": "a.example", "events": "*"},
        limit=20,
    )  # fmt: skip
    client.operator.set_tenant("acme", rate="5/s")
    ended = client.operations.start("cancel", tenant="acme", batch_id="spring")
    counted = client.operations.start("retry", tenant="acme", dry_run=True)
    return [
        *("/", "/?range=day", "/?range=month", "/jobs", "/jobs?state=expired", f"/jobs/{done}", f"/jobs/{broken}"),
        *("/search?q=nothing", "/batches", "/batches/acme/spring", "/webhooks?tenant=acme", "/vendor", "/tenants"),
        *("/tenants/acme", "/operations", f"/operations/{ended.id}", f"/operations/{counted.id}", "/audit"),
    ]


def violations(console: Console, **options: Any) -> list[str]:
    """Return what axe-core finds on the page, in short; and whether the page is wider than the screen."""
    options = {"resultTypes": ["violations"], **options}
    rules: list[dict[str, Any]] = Axe().run(console.page, options=options).response["violations"]
    nodes = [(rule["id"], node) for rule in rules for node in rule["nodes"]]
    result = [f"{rule}: {node['html'][:200]} {node['failureSummary'][:300]}" for rule, node in nodes]
    if console.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        result.append("is wider than the screen")
    return result


def test_every_page_is_fit_for_screen_readers_light_and_dark_wide_and_on_a_phone(
    console: Console, keys: Keys, places: list[str]
) -> None:
    """By axe-core, whose rules hold contrast too; nothing is wider than the screen."""
    problems, seen_dark = {}, set[str]()  # one of each kind, which have the same colours

    def look(place: str, *, dark: bool = True) -> None:
        problems[place] = violations(console)
        if not dark:
            return
        console.page.emulate_media(color_scheme="dark")
        console.page.set_viewport_size({"width": 390, "height": 844})
        problems[f"{place} on a phone, dark"] = violations(console, runOnly=["color-contrast", "target-size"])
        console.page.set_viewport_size({"width": 1280, "height": 900})
        console.page.emulate_media(color_scheme="light")

    console.page.goto(f"{console.url}/sign-in")
    look("/sign-in")
    console.sign_in(keys.operator)
    for place in places:
        assert console.see(place) in {200, 404}, place
        look(place, dark=re.split("[/?]", place)[1] not in seen_dark)
        seen_dark.add(re.split("[/?]", place)[1])
    console.page.keyboard.press("?")
    look("help")
    assert {place: wrong for place, wrong in problems.items() if wrong} == {}
    assert console.problems == []


def test_every_page_is_there_in_chinese(console: Console, keys: Keys, places: list[str]) -> None:
    console.sign_in(keys.operator)
    console.page.get_by_role("link", name="中文").click()
    expect(console.page.locator("html")).to_have_attribute("lang", "zh")
    assert console.page.url == f"{console.url}/"
    for place in places:
        html = console.page.request.get(f"{console.url}{place}").text()
        _, _, main = html.partition("<main")
        assert len(CHINESE.findall(main)) > 3, place
        assert not re.search(r">(Jobs|Overview|State|Created|Batches|Filter)<", html), place
    console.page.get_by_role("link", name="English").click()
    expect(console.page.locator("html")).to_have_attribute("lang", "en")


def test_the_overview_says_what_is_wrong_and_changes_by_itself(
    browser: Browser, console: Console, keys: Keys, store: Store, client: SwapClient
) -> None:
    """For several people at once: what is drawn for all of them carries nobody's token, and each may act."""
    with Console.open(browser, console.url.removesuffix("/console")) as somebody:
        somebody.sign_in(store.api_keys.create("ops", scopes=["operate"]).key)
        _watch(console, keys, store, client)


def _watch(console: Console, keys: Keys, store: Store, client: SwapClient) -> None:
    ids = [submit(store, tenant="acme") for _ in range(3)]
    console.sign_in(keys.operator)
    sentence = console.page.locator(".sentence")
    expect(sentence).to_have_text("Jobs wait, and no worker is there.")
    expect(console.page.get_by_role("row", name="interactive")).to_contain_text("3")
    succeed(store, ids[0])
    fail(store, ids[1])
    client.operator.pause()
    expect(console.page.locator(".judgement")).to_contain_text("Dispatch is paused by an operator.")
    hour = console.page.locator(".card", has_text="Last hour")
    expect(hour.get_by_role("link", name="succeeded")).to_be_visible()
    expect(hour.get_by_role("row", name="no_face")).to_contain_text("1")
    expect(console.page.locator(".tiles", has_text="Cost today")).to_contain_text("0.04")
    console.page.get_by_role("button", name="Resume").click()
    expect(console.page.locator(".done")).to_contain_text("Dispatch is resumed")
    assert client.operator.status().state == "running"
    assert console.problems == []


def test_the_levers_do_what_they_say(console: Console, keys: Keys, store: Store, client: SwapClient) -> None:
    console.sign_in(keys.operator)
    console.see("/vendor")
    console.page.get_by_role("button", name="Pause").click()
    console.confirm()
    expect(console.page.locator(".done")).to_contain_text("Resume undoes it")
    assert client.operator.status().reason == "manual"
    console.page.get_by_role("button", name="Resume").click()
    expect(console.page.locator(".done")).to_contain_text("resumed")
    assert client.operator.status().state == "running"
    console.see("/tenants/acme")
    console.page.get_by_label("Rate").fill("3/s")
    console.page.get_by_label("Weight").fill("2")
    console.page.get_by_role("button", name="Save").click()
    expect(console.page.locator(".done")).to_contain_text("limits are changed")
    (limits,) = [item for item in client.operator.tenants() if item.tenant == "acme"]
    assert (str(limits.rate), limits.weight) == ("3/s", 2)
    console.page.get_by_label("Rate").fill("often")
    console.page.get_by_role("button", name="Save").click()
    expect(console.page.get_by_role("alert")).to_contain_text("rate")
    broken = failed(store, tenant="acme", batch_id="spring")
    submit(store, tenant="acme", batch_id="spring")
    console.see("/batches/acme/spring")
    console.page.get_by_role("button", name="Pause").click()
    expect(console.page.locator(".pill.paused")).to_be_visible()
    console.page.get_by_role("button", name="no_face (1)").click()
    console.confirm()
    expect(console.page.locator(".done")).to_contain_text("queued again")
    assert client.get(broken).state == "queued"
    console.page.get_by_role("button", name="Cancel").click()
    console.confirm()
    expect(console.page.locator(".done")).to_contain_text("cancelled")
    assert client.batches.get("spring", tenant="acme").counts[JobState.CANCELLED] == 2
    console.page.get_by_role("link", name="Report").click()
    expect(console.page.get_by_role("heading", level=1)).to_contain_text("spring")
    assert console.problems == []


def test_a_delivery_that_was_given_up_is_replayed(console: Console, keys: Keys, store: Store) -> None:
    id_ = failed(store, tenant="acme", callback_url="https://hooks.example/in?token=SECRET")
    delivery = store.deliveries.claim(id_, 30)
    assert delivery is not None
    entry = '{"kind":"webhook","at":1,"number":1,"duration_ms":9,"status":410,"reason":"HTTP 410"}'
    store.deliveries.settle(delivery, "undelivered", status=410, entry=entry)
    console.sign_in(keys.acme)
    console.see("/webhooks?state=undelivered")
    expect(console.page.locator("[data-row]")).to_contain_text("HTTP 410")
    console.page.get_by_role("button", name="Replay", exact=True).click()
    expect(console.page.locator(".done")).to_contain_text("delivered again")
    expect(console.page.locator("[data-row] .pill")).to_have_text("pending")
    assert store.jobs.get(id_).fields["delivery_state"] == "pending"
    assert "SECRET" not in console.page.content()


def test_a_redis_that_goes_away_is_seen_and_so_is_its_return(
    browser: Browser, start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    """By everybody whose page is open; of lists, which stay, it is said that they may be out of date."""
    with EmbeddedRedis(tmp_path) as server, ExitStack() as stack:
        gateway = start_gateway(SWAPJOBS_REDIS_URL=server.url)
        settings = CoreSettings(redis_url=server.url)
        with connect(settings) as redis_client, SwapClient(settings) as client:
            api_keys = Store(redis_client, settings).api_keys
            signed_in = [api_keys.create("acme", scopes=[scope]).key for scope in ("operate", "read")]
            client.submit(make_request(tenant="acme"))
        people = [stack.enter_context(Console.open(browser, gateway.url)) for _ in signed_in]
        for person, key in zip(people, signed_in, strict=True):
            person.sign_in(key)
        sentences = [person.page.locator(".sentence") for person in people]
        before = [sentence.inner_text() for sentence in sentences]
        rows = people[0].page.context.new_page()
        rows.goto(f"{people[0].url}/jobs")
        server.stop()
        for sentence in sentences:
            expect(sentence).to_contain_text("Redis cannot be reached", timeout=20_000)
        expect(rows.locator(".lost")).to_be_visible(timeout=20_000)
        expect(rows.locator("#rows tr")).to_have_count(1)
        assert rows.goto(f"{people[0].url}/jobs").status == 503  # type: ignore[union-attr]  # there is an answer
        expect(rows.get_by_role("heading", name="Redis cannot be reached")).to_be_visible()
        server.start()
        for sentence, text in zip(sentences, before, strict=True):
            expect(sentence).to_have_text(text, timeout=20_000)
        assert gateway.program.output.count("Traceback") == 0
