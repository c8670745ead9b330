"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 2_830  # swap worker, paced
HOOK_CPU_US: Final = 2_890  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 53  # submitted in blocks
REDIS_CPU_US: Final = 1_730  # all the rest of its life, paced
IDLE_CPU_US: Final = 3_390  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 677  # in Redis' memory
FINISHED_BYTES: Final = 1_070  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 38  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 7_920  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 634  # finished, after a rewrite
NETWORK_BYTES: Final = 4_590  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 7  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T17:47:55+00:00",
    "revision": "e24e5c858d-dirty",
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
        "submit_redis_cpu_us": (46.5, 41.7, 51.4),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0213, 0.0213, 0.0213),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (18.1, 18.1, 18.1),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (675, 675, 675),
        "queued_keys_bytes": (659, 659, 659),
        "work_redis_cpu_us": (1_730, 1_660, 1_800),
        "work_commands": (80.7, 80.5, 80.9),
        "work_round_trips": (6.99, 6.91, 7.07),
        "work_net_in_bytes": (1_260, 1_250, 1_270),
        "work_net_out_bytes": (2_830, 2_810, 2_860),
        "work_aof_bytes": (7_200, 7_180, 7_210),
        "work_jobs_per_s": (99.7, 98.7, 101),
        "swap_worker_cpu_us": (2_830, 2_740, 2_910),
        "swap_worker_rss_mb": (91, 91, 91),
        "hook_worker_cpu_us": (2_890, 2_820, 2_970),
        "hook_worker_rss_mb": (85.7, 85.7, 85.8),
        "connections": (79, 79, 79),
        "idle_redis_cpu_us": (6_860, 6_600, 7_120),
        "idle_worker_cpu_us": (7_000, 6_000, 8_000),
        "finished_bytes": (1_160, 1_160, 1_170),
        "finished_keys_bytes": (1_030, 1_020, 1_030),
        "finished_aof_bytes": (740, 739, 741),
        "tombstone_bytes": (86.8, 86.2, 87.4),
        "single_submit_redis_cpu_us": (229, 189, 269),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (53.8, 53.8, 53.8),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0202, 0.0202, 0.0202),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (13.8, 13.8, 13.8),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (677, 677, 677),
        "queued_keys_bytes": (661, 661, 661),
        "work_redis_cpu_us": (1_200, 1_200, 1_200),
        "work_commands": (88.2, 88.2, 88.2),
        "work_round_trips": (4.31, 4.31, 4.31),
        "work_net_in_bytes": (923, 923, 923),
        "work_net_out_bytes": (2_130, 2_130, 2_130),
        "work_aof_bytes": (7_500, 7_500, 7_500),
        "work_jobs_per_s": (330, 330, 330),
        "swap_worker_cpu_us": (1_300, 1_300, 1_300),
        "swap_worker_rss_mb": (90.3, 90.3, 90.3),
        "hook_worker_cpu_us": (1_720, 1_720, 1_720),
        "hook_worker_rss_mb": (86.3, 86.3, 86.3),
        "connections": (79, 79, 79),
        "idle_redis_cpu_us": (6_790, 6_790, 6_790),
        "idle_worker_cpu_us": (12_000, 12_000, 12_000),
        "finished_bytes": (1_070, 1_070, 1_070),
        "finished_keys_bytes": (995, 995, 995),
        "finished_aof_bytes": (634, 634, 634),
        "tombstone_bytes": (38.9, 38.9, 38.9),
        "single_submit_redis_cpu_us": (150, 150, 150),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (35.3, 35.3, 35.3),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0201, 0.0201, 0.0201),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (13.4, 13.4, 13.4),
        "submit_aof_bytes": (620, 620, 620),
        "queued_bytes": (580, 580, 580),
        "queued_keys_bytes": (564, 564, 564),
        "work_redis_cpu_us": (426, 426, 426),
        "work_commands": (20.3, 20.3, 20.3),
        "work_round_trips": (2.14, 2.14, 2.14),
        "work_net_in_bytes": (536, 536, 536),
        "work_net_out_bytes": (920, 920, 920),
        "work_aof_bytes": (2_490, 2_490, 2_490),
        "work_jobs_per_s": (916, 916, 916),
        "swap_worker_cpu_us": (1_080, 1_080, 1_080),
        "swap_worker_rss_mb": (89.9, 89.9, 89.9),
        "connections": (56, 56, 56),
        "idle_redis_cpu_us": (5_670, 5_670, 5_670),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (677, 677, 677),
        "finished_keys_bytes": (615, 615, 615),
        "finished_aof_bytes": (386, 386, 386),
        "tombstone_bytes": (35.4, 35.4, 35.4),
        "single_submit_redis_cpu_us": (116, 116, 116),
    },
}
