"""The fixtures of `conftest_acceptance`, for this folder."""

from conftest_acceptance import (  # noqa: F401 - pytest finds fixtures by name
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
