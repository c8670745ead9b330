"""A warning of webhooks that workers will refuse, where the URL's text tells it: no name is looked up."""

from __future__ import annotations

import ipaddress

from swapjobs.cli.output import err
from swapjobs.contract.errors import SettingsError
from swapjobs.contract.urls import target_of
from swapjobs.settings import WorkerSettings, load_settings


def warn_of_refusal(url: str | None) -> None:
    """Say on stderr that a URL leads to an address that is not public, unless the settings here allow it.

    The workers' own settings decide, which may be others than those here: so it is a warning.
    """
    address = _address_in(url or "")
    if address is None or address.is_global:
        return
    try:
        allowed = load_settings(WorkerSettings).webhook_allowed_networks
    except SettingsError:  # what a worker would be told; here it only means that nothing is allowed
        allowed = ()
    if not any(address in network for network in allowed):
        err.print(
            f"warning: {address} is not public: workers refuse it unless their SWAPJOBS_WEBHOOK_ALLOWED_NETWORKS covers"
            f" it, as {ipaddress.ip_network(address)} does",
            markup=False,
            soft_wrap=True,
        )


def _address_in(url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a URL says; None where only a look-up would tell, or where it is no URL."""
    try:
        host = target_of(url).host
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
