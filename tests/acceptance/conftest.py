"""The fixtures of `support.processes`, for this folder."""

from support.processes import (  # noqa: F401 - pytest finds fixtures by name
    common_gateway,
    common_gateways,
    environment,
    gateway,
    hooks,
    program,
    receiver_server,
    sandbox_server,
    start_gateway,
    swapjobs_cli,
    vendor,
    worker,
)
