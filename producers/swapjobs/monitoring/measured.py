"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 2_660  # swap worker, paced
HOOK_CPU_US: Final = 2_650  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 55  # submitted in blocks
REDIS_CPU_US: Final = 1_520  # all the rest of its life, paced
IDLE_CPU_US: Final = 4_310  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 679  # in Redis' memory
FINISHED_BYTES: Final = 1_070  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 44  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 7_720  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 634  # finished, after a rewrite
NETWORK_BYTES: Final = 5_280  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 7  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T21:55:42+00:00",
    "revision": "586787075b",
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
        "submit_redis_cpu_us": (45.8, 42.7, 48.9),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0213, 0.0213, 0.0213),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (18.1, 18.1, 18.1),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (677, 676, 678),
        "queued_keys_bytes": (660, 660, 661),
        "work_redis_cpu_us": (1_520, 1_490, 1_560),
        "work_commands": (73.8, 73.7, 73.9),
        "work_round_trips": (6.78, 6.74, 6.82),
        "work_net_in_bytes": (1_230, 1_220, 1_230),
        "work_net_out_bytes": (3_560, 3_520, 3_600),
        "work_aof_bytes": (7_000, 6_990, 7_000),
        "work_jobs_per_s": (100, 99.8, 101),
        "swap_worker_cpu_us": (2_660, 2_650, 2_680),
        "swap_worker_rss_mb": (91.4, 91, 91.9),
        "hook_worker_cpu_us": (2_650, 2_620, 2_690),
        "hook_worker_rss_mb": (85.9, 85.8, 85.9),
        "connections": (78, 78, 78),
        "idle_redis_cpu_us": (7_390, 7_210, 7_570),
        "idle_worker_cpu_us": (7_990, 7_990, 7_990),
        "finished_bytes": (1_150, 1_150, 1_160),
        "finished_keys_bytes": (1_010, 1_010, 1_010),
        "finished_aof_bytes": (743, 741, 745),
        "tombstone_bytes": (75.9, 68.5, 83.2),
        "single_submit_redis_cpu_us": (263, 191, 334),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (55, 55, 55),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0202, 0.0202, 0.0202),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (13.8, 13.8, 13.8),
        "submit_aof_bytes": (721, 721, 721),
        "queued_bytes": (679, 679, 679),
        "queued_keys_bytes": (661, 661, 661),
        "work_redis_cpu_us": (692, 692, 692),
        "work_commands": (33.3, 33.3, 33.3),
        "work_round_trips": (1.13, 1.13, 1.13),
        "work_net_in_bytes": (742, 742, 742),
        "work_net_out_bytes": (2_360, 2_360, 2_360),
        "work_aof_bytes": (4_910, 4_910, 4_910),
        "work_jobs_per_s": (317, 317, 317),
        "swap_worker_cpu_us": (1_290, 1_290, 1_290),
        "swap_worker_rss_mb": (96.6, 96.6, 96.6),
        "hook_worker_cpu_us": (1_770, 1_770, 1_770),
        "hook_worker_rss_mb": (88.5, 88.5, 88.5),
        "connections": (78, 78, 78),
        "idle_redis_cpu_us": (8_610, 8_610, 8_610),
        "idle_worker_cpu_us": (9_990, 9_990, 9_990),
        "finished_bytes": (1_070, 1_070, 1_070),
        "finished_keys_bytes": (996, 996, 996),
        "finished_aof_bytes": (634, 634, 634),
        "tombstone_bytes": (44.4, 44.4, 44.4),
        "single_submit_redis_cpu_us": (290, 290, 290),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (44.4, 44.4, 44.4),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0201, 0.0201, 0.0201),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (13.4, 13.4, 13.4),
        "submit_aof_bytes": (620, 620, 620),
        "queued_bytes": (581, 581, 581),
        "queued_keys_bytes": (565, 565, 565),
        "work_redis_cpu_us": (272, 272, 272),
        "work_commands": (11.6, 11.6, 11.6),
        "work_round_trips": (0.4, 0.4, 0.4),
        "work_net_in_bytes": (426, 426, 426),
        "work_net_out_bytes": (996, 996, 996),
        "work_aof_bytes": (1_920, 1_920, 1_920),
        "work_jobs_per_s": (753, 753, 753),
        "swap_worker_cpu_us": (1_310, 1_310, 1_310),
        "swap_worker_rss_mb": (98.4, 98.4, 98.4),
        "connections": (57, 57, 57),
        "idle_redis_cpu_us": (6_610, 6_610, 6_610),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (682, 682, 682),
        "finished_keys_bytes": (615, 615, 615),
        "finished_aof_bytes": (387, 387, 387),
        "tombstone_bytes": (43.1, 43.1, 43.1),
        "single_submit_redis_cpu_us": (207, 207, 207),
    },
}
