"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 2_870  # swap worker, paced
HOOK_CPU_US: Final = 2_880  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 41  # submitted in blocks
REDIS_CPU_US: Final = 1_780  # all the rest of its life, paced
IDLE_CPU_US: Final = 3_340  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 677  # in Redis' memory
FINISHED_BYTES: Final = 1_070  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 39  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 7_930  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 634  # finished, after a rewrite
NETWORK_BYTES: Final = 4_580  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 7  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T16:28:00+00:00",
    "revision": "55da9693e0",
    "cpu": "Intel(R) Xeon(R) Processor",
    "cores": "2",
    "python": "3.11.7",
    "redis": "Valkey 9.1.2",
    "celery": "5.7.0",
    "hiredis": "3.5.0",
}
# The median of each case's rounds, the lowest and the highest.
SEEN: Final = {
    "paced, webhook": {
        "submit_redis_cpu_us": (44.4, 44.3, 44.5),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0213, 0.0213, 0.0213),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (18.1, 18.1, 18.1),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (675, 675, 676),
        "work_redis_cpu_us": (1_780, 1_720, 1_830),
        "work_commands": (80.7, 80.6, 80.8),
        "work_round_trips": (6.93, 6.89, 6.97),
        "work_net_in_bytes": (1_260, 1_250, 1_260),
        "work_net_out_bytes": (2_830, 2_810, 2_850),
        "work_aof_bytes": (7_210, 7_200, 7_210),
        "work_jobs_per_s": (101, 99.8, 102),
        "swap_worker_cpu_us": (2_870, 2_870, 2_880),
        "swap_worker_rss_mb": (91.2, 90.8, 91.5),
        "hook_worker_cpu_us": (2_880, 2_870, 2_880),
        "hook_worker_rss_mb": (85.7, 85.6, 85.8),
        "connections": (79, 79, 79),
        "idle_redis_cpu_us": (6_570, 6_390, 6_740),
        "idle_worker_cpu_us": (7_000, 6_000, 7_990),
        "finished_bytes": (1_150, 1_150, 1_150),
        "finished_aof_bytes": (740, 740, 740),
        "tombstone_bytes": (71.1, 69.2, 73),
        "single_submit_redis_cpu_us": (192, 145, 239),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (41.6, 41.6, 41.6),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0202, 0.0202, 0.0202),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (13.8, 13.8, 13.8),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (677, 677, 677),
        "work_redis_cpu_us": (1_260, 1_260, 1_260),
        "work_commands": (88.1, 88.1, 88.1),
        "work_round_trips": (4.31, 4.31, 4.31),
        "work_net_in_bytes": (923, 923, 923),
        "work_net_out_bytes": (2_110, 2_110, 2_110),
        "work_aof_bytes": (7_500, 7_500, 7_500),
        "work_jobs_per_s": (321, 321, 321),
        "swap_worker_cpu_us": (1_310, 1_310, 1_310),
        "swap_worker_rss_mb": (89.9, 89.9, 89.9),
        "hook_worker_cpu_us": (1_780, 1_780, 1_780),
        "hook_worker_rss_mb": (86.3, 86.3, 86.3),
        "connections": (79, 79, 79),
        "idle_redis_cpu_us": (6_680, 6_680, 6_680),
        "idle_worker_cpu_us": (9_990, 9_990, 9_990),
        "finished_bytes": (1_070, 1_070, 1_070),
        "finished_aof_bytes": (634, 634, 634),
        "tombstone_bytes": (39.6, 39.6, 39.6),
        "single_submit_redis_cpu_us": (262, 262, 262),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (55.4, 55.4, 55.4),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0201, 0.0201, 0.0201),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (13.4, 13.4, 13.4),
        "submit_aof_bytes": (620, 620, 620),
        "queued_bytes": (581, 581, 581),
        "work_redis_cpu_us": (480, 480, 480),
        "work_commands": (20.4, 20.4, 20.4),
        "work_round_trips": (2.15, 2.15, 2.15),
        "work_net_in_bytes": (536, 536, 536),
        "work_net_out_bytes": (978, 978, 978),
        "work_aof_bytes": (2_490, 2_490, 2_490),
        "work_jobs_per_s": (656, 656, 656),
        "swap_worker_cpu_us": (1_480, 1_480, 1_480),
        "swap_worker_rss_mb": (90.6, 90.6, 90.6),
        "connections": (56, 56, 56),
        "idle_redis_cpu_us": (5_890, 5_890, 5_890),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (678, 678, 678),
        "finished_aof_bytes": (387, 387, 387),
        "tombstone_bytes": (39.6, 39.6, 39.6),
        "single_submit_redis_cpu_us": (288, 288, 288),
    },
}
