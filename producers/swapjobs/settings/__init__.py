"""All settings, read from the environment and a `.env` file: prefix `SWAPJOBS_`, units in the name or the value.

`CoreSettings` is what every producer needs; `WorkerSettings` and `GatewaySettings` add what only those read.
"""

from swapjobs.contract.rate import Rate, RateSetting
from swapjobs.settings.core import PREFIX, CoreSettings
from swapjobs.settings.gateway import GatewaySettings
from swapjobs.settings.loading import check_names, known_fields, known_names, load_settings
from swapjobs.settings.worker import WorkerSettings

__all__ = [
    "PREFIX",
    "CoreSettings",
    "GatewaySettings",
    "Rate",
    "RateSetting",
    "WorkerSettings",
    "check_names",
    "known_fields",
    "known_names",
    "load_settings",
]
