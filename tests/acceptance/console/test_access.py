"""Who gets into the console, sees what, and may change what; and how that ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect

from support.builders import submit, wait_until
from support.console import Console, failed
from support.processes import ACME_KEY
from swapjobs.store.access.api_keys import id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

    from support.console import Keys
    from support.processes import GatewayProcess
    from swapjobs.store.store import Store


def token_of(console: Console) -> str:
    """Return what the pages of this person carry."""
    return str(console.page.locator("input[name=csrf]").first.input_value())


def post(console: Console, place: str, **form: Any) -> Any:
    """Send a form with this person's cookie, as a page of somebody else could."""
    return console.page.request.post(f"{console.url}{place}", form=form, max_redirects=0)


def test_one_signs_in_with_a_key_and_goes_where_one_wanted(console: Console, keys: Keys, store: Store) -> None:
    id_ = submit(store, tenant="acme", business_task_id="order-7")
    console.see(f"/jobs/{id_}?done=retried")
    expect(console.page).to_have_title("Sign in · swapjobs")
    for key, why in (("sj_wrong", "does not know this key"), (keys.submitter, "may not see jobs")):
        console.page.get_by_label("Key", exact=True).fill(key)
        console.page.get_by_role("button", name="Sign in").click()
        expect(console.page.get_by_role("alert")).to_contain_text(why)
    console.page.get_by_label("Key", exact=True).fill(keys.operator)
    console.page.get_by_role("button", name="Sign in").click()
    expect(console.page.get_by_role("heading", level=1)).to_contain_text("order-7")
    (cookie,) = [item for item in console.page.context.cookies() if item["name"] == "swapjobs-console"]
    assert (cookie["httpOnly"], cookie["sameSite"], keys.operator in cookie["value"]) == (True, "Lax", False)
    assert not any(keys.operator in str(value) or cookie["value"] in str(value) for value in _everything(store))
    assert console.problems == []


def _everything(store: Store) -> list[Any]:
    return [store.redis.hgetall(key) for key in store.redis.scan_iter("swapjobs:console-session:*")]


def test_a_session_ends_with_signing_out(console: Console, keys: Keys, store: Store) -> None:
    console.sign_in(keys.operator)
    before = console.page.context.cookies()
    console.page.get_by_role("button", name="sign out").click()
    console.page.wait_for_url(f"{console.url}/sign-in")
    console.page.context.add_cookies(before)  # type: ignore[arg-type]  # what was there, is given back
    console.see("/jobs")
    expect(console.page).to_have_title("Sign in · swapjobs")
    assert _everything(store) == []


def test_a_revoked_key_ends_its_sessions_on_pages_that_are_open_too(console: Console, keys: Keys, store: Store) -> None:
    console.sign_in(keys.operator)
    expect(console.page.get_by_role("status")).to_be_visible()
    store.api_keys.revoke(str(id_of(keys.operator)))
    console.page.wait_for_url(f"{console.url}/sign-in**", timeout=20_000)
    assert console.see("/jobs") == 200
    expect(console.page).to_have_title("Sign in · swapjobs")


def test_a_tenants_key_sees_and_changes_its_tenant_alone(console: Console, keys: Keys, store: Store) -> None:
    own, other = (failed(store, tenant=tenant, business_task_id=f"of-{tenant}") for tenant in ("acme", "zeta"))
    console.sign_in(keys.acme)
    expect(console.page.get_by_role("status")).to_contain_text("Your jobs are being worked on")
    console.see("/jobs")
    assert console.ids() == ["of-acme"]
    assert console.page.get_by_label("Tenant").count() == 0
    hidden = ["/jobs?tenant=zeta", "/tenants/zeta", "/batches/zeta/spring", "/batches?tenant=zeta"]
    for place in (f"/jobs/{other}", *hidden, "/webhooks?tenant=zeta", "/audit?tenant=zeta"):
        assert console.see(place) in {403, 404}, place
        assert "of-zeta" not in console.page.content()
    assert console.see("/no-such-page") == 404
    expect(console.page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    console.see("/search?q=of-zeta")
    assert "Nothing has this id" in console.text()
    csrf = token_of(console)
    for place, form in ((f"/jobs/{other}/retry", {}), ("/vendor/pause", {}), ("/tenants/acme", {"weight": "9"}),
                        ("/jobs/act", {"kind": "cancel", "tenant": "zeta"})):  # fmt: skip
        assert post(console, place, csrf=csrf, **form).status in {403, 404}, place
    assert store.jobs.get(other).fields["state"] == "failed"
    assert store.dispatch.status().state == "running"
    assert post(console, f"/jobs/{own}/retry", csrf=csrf).status == 303
    assert store.jobs.get(own).fields["state"] == "queued"


@pytest.mark.parametrize("whose", ["reader", "acme_reader"])
def test_a_reader_sees_all_there_is_and_changes_nothing(console: Console, keys: Keys, store: Store, whose: str) -> None:
    own, other = (failed(store, tenant=tenant, business_task_id=f"of-{tenant}") for tenant in ("acme", "zeta"))
    console.sign_in(getattr(keys, whose))
    console.see("/jobs")
    assert console.ids() == (["of-zeta", "of-acme"] if whose == "reader" else ["of-acme"])
    csrf = token_of(console)
    assert console.page.get_by_text("Act on all").count() == 0
    console.see(f"/jobs/{own}")
    assert console.page.get_by_role("button", name="Retry").count() == 0
    console.see("/vendor")
    assert console.page.get_by_role("button", name="Pause").count() == 0
    for place in (f"/jobs/{own}/retry", f"/jobs/{own}/forget", "/jobs/act", "/vendor/pause", "/tenants/acme",
                  "/batches/acme/spring/pause", "/webhooks/deliveries/acme/replay"):  # fmt: skip
        assert post(console, place, csrf=csrf, kind="cancel").status == 403, place
    assert {store.jobs.get(id_).fields["state"] for id_ in (own, other)} == {"failed"}
    console.page.get_by_role("button", name="sign out").click()
    console.page.wait_for_url(f"{console.url}/sign-in")


def test_a_change_that_comes_from_no_page_of_ours_is_refused(console: Console, keys: Keys, store: Store) -> None:
    id_ = failed(store, tenant="acme")
    console.sign_in(keys.operator)
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 40}, {"csrf": "é"}):
        for place in (f"/jobs/{id_}/retry", "/vendor/pause", "/sign-out"):
            answer = post(console, place, **form)
            assert (answer.status, "too old" in answer.text()) == (403, True), place
    assert store.jobs.get(id_).fields["state"] == "failed"
    assert store.dispatch.status().state == "running"
    console.see("/jobs")
    expect(console.page.locator("#rows")).to_be_visible()


def test_without_keys_the_console_is_for_this_machine_alone(
    browser: Browser, common_gateways: Callable[..., GatewayProcess], store: Store
) -> None:
    gateway = common_gateways()
    id_ = failed(store)
    with Console.open(browser, gateway.url) as console:
        assert console.see("/") == 200
        expect(console.page.get_by_text("this machine")).to_be_visible()
        console.see(f"/jobs/{id_}")
        console.page.get_by_role("button", name="Retry").click()
        expect(console.page.locator(".done")).to_contain_text("queued again")
        assert console.problems == []
    assert store.jobs.get(id_).fields["state"] == "queued"
    (entry,) = store.audit.page(tenant=None, action="job.retry", cursor=None, limit=5).entries
    assert (entry.via, entry.who) == ("console", "somebody at this machine, without a key")
    with httpx.Client(base_url=gateway.url, trust_env=False) as http:
        for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "9.9.9.9"}, {"Origin": "https://evil.example"}):
            assert http.get("/console/jobs", headers=headers).status_code == 403, headers
        assert http.post(f"/console/jobs/{id_}/cancel").status_code == 403


def test_a_key_of_the_settings_signs_in_and_the_http_api_takes_no_cookie(console: Console, store: Store) -> None:
    submit(store, tenant="acme", business_task_id="order-1")
    console.sign_in(ACME_KEY)
    console.see("/jobs")
    assert console.ids() == ["order-1"]
    root = console.url.removesuffix("/console")
    assert console.page.request.get(f"{root}/v1/jobs").status == 401


def test_the_console_can_be_left_out(common_gateways: Callable[..., GatewayProcess]) -> None:
    gateway = common_gateways(SWAPJOBS_CONSOLE="false")
    for place in ("/console/", "/console/sign-in", "/console/static/console.js"):
        assert httpx.get(f"{gateway.url}{place}", trust_env=False).status_code == 404


def test_who_changed_what_stands_in_the_audit_log(console: Console, keys: Keys, store: Store) -> None:
    id_ = failed(store, tenant="acme")
    console.sign_in(keys.operator)
    console.see(f"/jobs/{id_}")
    console.page.get_by_role("button", name="Forget").click()
    console.confirm()
    console.page.wait_for_url("**/jobs?done=forgotten")
    console.see("/audit?action=job.forget")
    assert f"key {id_of(keys.operator)}" in console.text()
    assert id_ in console.text()
    wait_until(lambda: not store.redis.exists(f"swapjobs:job:{id_}"))
