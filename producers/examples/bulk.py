"""Submit a file of jobs (CSV with a header), and follow them until all are final.

    python bulk.py jobs.csv BATCH_ID

Each line has a `business_task_id` of the caller's, so the same command may be given again after a crash: a job that is
there already is `existing`. Into Redis, or through a gateway: see submit.py.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from time import sleep

from submit import connect

from swapjobs import SwapjobsError


def run(file: Path, batch_id: str) -> None:
    """Submit lazily, close the batch, look at it every second."""
    with connect() as client, file.open(newline="", encoding="utf-8") as lines:
        rows = ({name: text for name, text in row.items() if text} for row in csv.DictReader(lines))
        outcomes: Counter[str] = Counter()
        for number, result in enumerate(client.submit_many({**row, "batch_id": batch_id} for row in rows), start=2):
            outcomes[result.outcome] += 1
            if result.error:
                print(f"line {number}: {result.error}")
        print("submitted:", dict(outcomes))
        batch = client.batches.close(batch_id)
        while batch.state != "completed":
            sleep(1)
            batch = client.batches.get(batch_id)
        print("done:", {str(state): count for state, count in batch.counts.items() if count})
        for job in client.list(batch_id=batch_id, state="failed").jobs:
            print(f"{job.business_task_id}: {job.error}")


def main() -> str | None:
    """Return what went wrong: it is the last line on stderr, and then the exit status is 1."""
    match sys.argv[1:]:
        case [file, batch_id]:
            try:
                run(Path(file), batch_id)
            except (SwapjobsError, OSError) as error:
                return str(error)
            return None
        case _:
            return __doc__


if __name__ == "__main__":
    sys.exit(main())
