"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 2_040  # swap worker, paced
HOOK_CPU_US: Final = 2_370  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 31  # submitted in blocks
REDIS_CPU_US: Final = 1_220  # all the rest of its life, paced
IDLE_CPU_US: Final = 2_290  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 855  # in Redis' memory
FINISHED_BYTES: Final = 1_520  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 183  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 9_000  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 964  # finished, after a rewrite
NETWORK_BYTES: Final = 4_500  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 6  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T14:28:21+00:00",
    "revision": "58b1df9b0d-dirty",
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
        "submit_redis_cpu_us": (57.2, 55.7, 58.6),
        "submit_commands": (8.09, 8.09, 8.09),
        "submit_round_trips": (0.0312, 0.0312, 0.0312),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (52.4, 52.4, 52.4),
        "submit_aof_bytes": (995, 995, 995),
        "queued_bytes": (884, 884, 884),
        "work_redis_cpu_us": (1_220, 1_050, 1_380),
        "work_commands": (97, 96, 98),
        "work_round_trips": (5.89, 5.88, 5.91),
        "work_net_in_bytes": (1_120, 1_120, 1_120),
        "work_net_out_bytes": (2_860, 2_760, 2_960),
        "work_aof_bytes": (8_000, 7_950, 8_050),
        "work_jobs_per_s": (142, 139, 145),
        "swap_worker_cpu_us": (2_040, 2_000, 2_080),
        "swap_worker_rss_mb": (90.4, 90.4, 90.4),
        "hook_worker_cpu_us": (2_370, 2_300, 2_450),
        "hook_worker_rss_mb": (85.5, 85.5, 85.5),
        "connections": (77, 77, 77),
        "idle_redis_cpu_us": (4_910, 4_490, 5_320),
        "idle_worker_cpu_us": (7_990, 7_990, 8_000),
        "finished_bytes": (1_830, 1_810, 1_860),
        "finished_aof_bytes": (1_780, 1_770, 1_780),
        "tombstone_bytes": (-151, -180, -122),
        "single_submit_redis_cpu_us": (204, 200, 209),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (31.5, 31.5, 31.5),
        "submit_commands": (8.08, 8.08, 8.08),
        "submit_round_trips": (0.0207, 0.0207, 0.0207),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (16, 16, 16),
        "submit_aof_bytes": (995, 995, 995),
        "queued_bytes": (855, 855, 855),
        "work_redis_cpu_us": (993, 993, 993),
        "work_commands": (111, 111, 111),
        "work_round_trips": (6, 6, 6),
        "work_net_in_bytes": (1_110, 1_110, 1_110),
        "work_net_out_bytes": (2_780, 2_780, 2_780),
        "work_aof_bytes": (8_920, 8_920, 8_920),
        "work_jobs_per_s": (266, 266, 266),
        "swap_worker_cpu_us": (1_510, 1_510, 1_510),
        "swap_worker_rss_mb": (88.6, 88.6, 88.6),
        "hook_worker_cpu_us": (1_760, 1_760, 1_760),
        "hook_worker_rss_mb": (86.6, 86.6, 86.6),
        "connections": (77, 77, 77),
        "idle_redis_cpu_us": (4_570, 4_570, 4_570),
        "idle_worker_cpu_us": (8_000, 8_000, 8_000),
        "finished_bytes": (1_520, 1_520, 1_520),
        "finished_aof_bytes": (964, 964, 964),
        "tombstone_bytes": (183, 183, 183),
        "single_submit_redis_cpu_us": (368, 368, 368),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (59.8, 59.8, 59.8),
        "submit_commands": (7.08, 7.08, 7.08),
        "submit_round_trips": (0.0207, 0.0207, 0.0207),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (16, 16, 16),
        "submit_aof_bytes": (813, 813, 813),
        "queued_bytes": (740, 740, 740),
        "work_redis_cpu_us": (548, 548, 548),
        "work_commands": (28.4, 28.4, 28.4),
        "work_round_trips": (3.03, 3.03, 3.03),
        "work_net_in_bytes": (664, 664, 664),
        "work_net_out_bytes": (1_240, 1_240, 1_240),
        "work_aof_bytes": (3_310, 3_310, 3_310),
        "work_jobs_per_s": (442, 442, 442),
        "swap_worker_cpu_us": (1_910, 1_910, 1_910),
        "swap_worker_rss_mb": (88.3, 88.3, 88.3),
        "connections": (55, 55, 55),
        "idle_redis_cpu_us": (4_840, 4_840, 4_840),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (1_150, 1_150, 1_150),
        "finished_aof_bytes": (735, 735, 735),
        "tombstone_bytes": (203, 203, 203),
        "single_submit_redis_cpu_us": (332, 332, 332),
    },
}
