"""Submit one job and wait for its picture.

python submit.py SOURCE_URL TARGET_URL                                     # into Redis, SWAPJOBS_REDIS_URL
GATEWAY_URL=https://... GATEWAY_KEY=... python submit.py SOURCE_URL TARGET_URL       # through a gateway
"""

from __future__ import annotations

import os
import sys

from swapjobs import SwapClient, SwapjobsError, SwapRequest


def connect() -> SwapClient:
    """Return a client; what is done with it is the same either way."""
    url = os.environ.get("GATEWAY_URL")  # noqa: TID251 - an example's own settings
    return SwapClient.from_gateway(url, os.environ["GATEWAY_KEY"]) if url else SwapClient()  # noqa: TID251 - the same


def main() -> int:
    """Submit, wait, tell."""
    match sys.argv[1:]:
        case [source_url, target_url]:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    with connect() as client:
        try:
            job = client.submit(SwapRequest.parse({"source_url": source_url, "target_url": target_url}))
            print(f"accepted as {job.id}")
            job = client.wait(job.id, timeout_s=120)
        except SwapjobsError as error:
            print(f"{error.code}: {error}", file=sys.stderr)
            return 1
    print(job.state, job.output_url or job.error)
    return 0 if job.output_url else 1


if __name__ == "__main__":
    sys.exit(main())
