"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 2_060  # swap worker, paced
HOOK_CPU_US: Final = 2_240  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 41  # submitted in blocks
REDIS_CPU_US: Final = 1_130  # all the rest of its life, paced
IDLE_CPU_US: Final = 2_280  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 856  # in Redis' memory
FINISHED_BYTES: Final = 1_530  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 189  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 9_280  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 967  # finished, after a rewrite
NETWORK_BYTES: Final = 4_880  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 6  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T14:54:49+00:00",
    "revision": "a1d7f79c9c",
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
        "submit_redis_cpu_us": (55, 53.1, 57),
        "submit_commands": (8.09, 8.09, 8.09),
        "submit_round_trips": (0.0267, 0.0267, 0.0267),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (33.2, 33.2, 33.2),
        "submit_aof_bytes": (995, 995, 995),
        "queued_bytes": (898, 891, 904),
        "work_redis_cpu_us": (1_130, 1_040, 1_220),
        "work_commands": (99.8, 99.4, 100),
        "work_round_trips": (6.54, 6.47, 6.61),
        "work_net_in_bytes": (1_200, 1_190, 1_210),
        "work_net_out_bytes": (3_180, 3_140, 3_220),
        "work_aof_bytes": (8_280, 8_270, 8_300),
        "work_jobs_per_s": (116, 113, 118),
        "swap_worker_cpu_us": (2_060, 1_790, 2_330),
        "swap_worker_rss_mb": (92.2, 90.9, 93.5),
        "hook_worker_cpu_us": (2_240, 1_990, 2_490),
        "hook_worker_rss_mb": (85.6, 85.5, 85.7),
        "connections": (77, 77, 77),
        "idle_redis_cpu_us": (4_700, 4_110, 5_290),
        "idle_worker_cpu_us": (8_970, 7_990, 9_960),
        "finished_bytes": (1_660, 1_650, 1_670),
        "finished_aof_bytes": (1_350, 1_350, 1_350),
        "tombstone_bytes": (-6.65, -14.4, 1.07),
        "single_submit_redis_cpu_us": (256, 185, 327),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (41.9, 41.9, 41.9),
        "submit_commands": (8.08, 8.08, 8.08),
        "submit_round_trips": (0.0208, 0.0208, 0.0208),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (16.1, 16.1, 16.1),
        "submit_aof_bytes": (995, 995, 995),
        "queued_bytes": (856, 856, 856),
        "work_redis_cpu_us": (1_050, 1_050, 1_050),
        "work_commands": (111, 111, 111),
        "work_round_trips": (6.02, 6.02, 6.02),
        "work_net_in_bytes": (1_120, 1_120, 1_120),
        "work_net_out_bytes": (2_840, 2_840, 2_840),
        "work_aof_bytes": (8_930, 8_930, 8_930),
        "work_jobs_per_s": (218, 218, 218),
        "swap_worker_cpu_us": (1_680, 1_680, 1_680),
        "swap_worker_rss_mb": (88.9, 88.9, 88.9),
        "hook_worker_cpu_us": (1_970, 1_970, 1_970),
        "hook_worker_rss_mb": (86.7, 86.7, 86.7),
        "connections": (77, 77, 77),
        "idle_redis_cpu_us": (4_550, 4_550, 4_550),
        "idle_worker_cpu_us": (7_990, 7_990, 7_990),
        "finished_bytes": (1_530, 1_530, 1_530),
        "finished_aof_bytes": (967, 967, 967),
        "tombstone_bytes": (189, 189, 189),
        "single_submit_redis_cpu_us": (222, 222, 222),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (27.2, 27.2, 27.2),
        "submit_commands": (7.08, 7.08, 7.08),
        "submit_round_trips": (0.0204, 0.0204, 0.0204),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (14.6, 14.6, 14.6),
        "submit_aof_bytes": (813, 813, 813),
        "queued_bytes": (738, 738, 738),
        "work_redis_cpu_us": (349, 349, 349),
        "work_commands": (28.3, 28.3, 28.3),
        "work_round_trips": (3.02, 3.02, 3.02),
        "work_net_in_bytes": (663, 663, 663),
        "work_net_out_bytes": (1_160, 1_160, 1_160),
        "work_aof_bytes": (3_350, 3_350, 3_350),
        "work_jobs_per_s": (564, 564, 564),
        "swap_worker_cpu_us": (1_240, 1_240, 1_240),
        "swap_worker_rss_mb": (89.1, 89.1, 89.1),
        "connections": (55, 55, 55),
        "idle_redis_cpu_us": (3_870, 3_870, 3_870),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (1_130, 1_130, 1_130),
        "finished_aof_bytes": (706, 706, 706),
        "tombstone_bytes": (201, 201, 201),
        "single_submit_redis_cpu_us": (229, 229, 229),
    },
}
