"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 2_770  # swap worker, paced
HOOK_CPU_US: Final = 2_800  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 59  # submitted in blocks
REDIS_CPU_US: Final = 1_710  # all the rest of its life, paced
IDLE_CPU_US: Final = 3_060  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 677  # in Redis' memory
FINISHED_BYTES: Final = 1_070  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 39  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 7_930  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 633  # finished, after a rewrite
NETWORK_BYTES: Final = 4_590  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 7  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T16:37:24+00:00",
    "revision": "153c077a8d",
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
        "submit_redis_cpu_us": (45.4, 43.5, 47.4),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0213, 0.0213, 0.0213),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (18.1, 18.1, 18.1),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (675, 675, 676),
        "work_redis_cpu_us": (1_710, 1_690, 1_730),
        "work_commands": (80.9, 80.8, 81),
        "work_round_trips": (6.99, 6.96, 7.02),
        "work_net_in_bytes": (1_260, 1_260, 1_270),
        "work_net_out_bytes": (2_840, 2_830, 2_840),
        "work_aof_bytes": (7_210, 7_210, 7_210),
        "work_jobs_per_s": (100, 100, 100),
        "swap_worker_cpu_us": (2_770, 2_610, 2_920),
        "swap_worker_rss_mb": (91.7, 91.2, 92.2),
        "hook_worker_cpu_us": (2_800, 2_670, 2_920),
        "hook_worker_rss_mb": (85.8, 85.7, 85.9),
        "connections": (79, 79, 79),
        "idle_redis_cpu_us": (7_720, 7_640, 7_800),
        "idle_worker_cpu_us": (12_000, 9_990, 14_000),
        "finished_bytes": (1_150, 1_150, 1_150),
        "finished_aof_bytes": (739, 739, 739),
        "tombstone_bytes": (70.7, 68, 73.4),
        "single_submit_redis_cpu_us": (198, 154, 241),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (59.4, 59.4, 59.4),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0202, 0.0202, 0.0202),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (13.8, 13.8, 13.8),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (677, 677, 677),
        "work_redis_cpu_us": (1_400, 1_400, 1_400),
        "work_commands": (87.9, 87.9, 87.9),
        "work_round_trips": (4.29, 4.29, 4.29),
        "work_net_in_bytes": (918, 918, 918),
        "work_net_out_bytes": (2_130, 2_130, 2_130),
        "work_aof_bytes": (7_460, 7_460, 7_460),
        "work_jobs_per_s": (290, 290, 290),
        "swap_worker_cpu_us": (1_430, 1_430, 1_430),
        "swap_worker_rss_mb": (90.1, 90.1, 90.1),
        "hook_worker_cpu_us": (1_980, 1_980, 1_980),
        "hook_worker_rss_mb": (86.3, 86.3, 86.3),
        "connections": (79, 79, 79),
        "idle_redis_cpu_us": (6_120, 6_120, 6_120),
        "idle_worker_cpu_us": (6_000, 6_000, 6_000),
        "finished_bytes": (1_070, 1_070, 1_070),
        "finished_aof_bytes": (633, 633, 633),
        "tombstone_bytes": (39.4, 39.4, 39.4),
        "single_submit_redis_cpu_us": (282, 282, 282),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (51.2, 51.2, 51.2),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0201, 0.0201, 0.0201),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (13.4, 13.4, 13.4),
        "submit_aof_bytes": (620, 620, 620),
        "queued_bytes": (580, 580, 580),
        "work_redis_cpu_us": (419, 419, 419),
        "work_commands": (20.3, 20.3, 20.3),
        "work_round_trips": (2.14, 2.14, 2.14),
        "work_net_in_bytes": (536, 536, 536),
        "work_net_out_bytes": (923, 923, 923),
        "work_aof_bytes": (2_490, 2_490, 2_490),
        "work_jobs_per_s": (845, 845, 845),
        "swap_worker_cpu_us": (1_180, 1_180, 1_180),
        "swap_worker_rss_mb": (89.1, 89.1, 89.1),
        "connections": (56, 56, 56),
        "idle_redis_cpu_us": (6_670, 6_670, 6_670),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (679, 679, 679),
        "finished_aof_bytes": (386, 386, 386),
        "tombstone_bytes": (39.9, 39.9, 39.9),
        "single_submit_redis_cpu_us": (187, 187, 187),
    },
}
