"""What one job costs, as it was measured: written by `python ops/bench/capacity.py --write`, never by hand.

Two URLs of 120 characters, a business id, a webhook unless it says otherwise. Paced: at 100 calls/s of
250 ms; hot: the vendor answers at once, and nothing waits for the rate.
"""

from __future__ import annotations

from typing import Final

SWAP_CPU_US: Final = 3_100  # swap worker, paced
HOOK_CPU_US: Final = 3_090  # webhook worker, paced
REDIS_SUBMIT_CPU_US: Final = 45  # submitted in blocks
REDIS_CPU_US: Final = 1_710  # all the rest of its life, paced
IDLE_CPU_US: Final = 3_410  # of Redis, for one worker process of two, in a second without work
QUEUED_BYTES: Final = 678  # in Redis' memory
FINISHED_BYTES: Final = 1_070  # the whole record and the tombstone
TOMBSTONE_BYTES: Final = 45  # what is left of it after SWAPJOBS_RESULT_TTL_S
AOF_BYTES: Final = 7_870  # appended in its whole life, paced
AOF_REWRITTEN_BYTES: Final = 635  # finished, after a rewrite
NETWORK_BYTES: Final = 5_380  # to and from Redis, paced
OTHER_CONNECTIONS: Final = 7  # of a worker process besides one for each slot

MACHINE: Final = {
    "date": "2026-11-29T20:26:26+00:00",
    "revision": "d36be42e83",
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
        "submit_redis_cpu_us": (45.5, 44.1, 47),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0213, 0.0213, 0.0213),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (18.1, 18.1, 18.1),
        "submit_aof_bytes": (720, 720, 720),
        "queued_bytes": (676, 676, 676),
        "queued_keys_bytes": (659, 659, 659),
        "work_redis_cpu_us": (1_710, 1_680, 1_740),
        "work_commands": (79.4, 79.2, 79.6),
        "work_round_trips": (6.72, 6.68, 6.76),
        "work_net_in_bytes": (1_220, 1_220, 1_220),
        "work_net_out_bytes": (3_670, 3_600, 3_730),
        "work_aof_bytes": (7_150, 7_140, 7_150),
        "work_jobs_per_s": (101, 101, 101),
        "swap_worker_cpu_us": (3_100, 3_050, 3_150),
        "swap_worker_rss_mb": (92.1, 91.7, 92.5),
        "hook_worker_cpu_us": (3_090, 3_080, 3_100),
        "hook_worker_rss_mb": (85.8, 85.7, 85.8),
        "connections": (80, 80, 80),
        "idle_redis_cpu_us": (7_800, 6_970, 8_630),
        "idle_worker_cpu_us": (7_000, 6_000, 8_000),
        "finished_bytes": (1_150, 1_140, 1_150),
        "finished_keys_bytes": (1_010, 1_010, 1_010),
        "finished_aof_bytes": (742, 742, 742),
        "tombstone_bytes": (68.3, 67.4, 69.1),
        "single_submit_redis_cpu_us": (238, 224, 251),
    },
    "hot, webhook": {
        "submit_redis_cpu_us": (45.5, 45.5, 45.5),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0202, 0.0202, 0.0202),
        "submit_net_in_bytes": (475, 475, 475),
        "submit_net_out_bytes": (13.8, 13.8, 13.8),
        "submit_aof_bytes": (721, 721, 721),
        "queued_bytes": (678, 678, 678),
        "queued_keys_bytes": (661, 661, 661),
        "work_redis_cpu_us": (1_060, 1_060, 1_060),
        "work_commands": (80, 80, 80),
        "work_round_trips": (2.69, 2.69, 2.69),
        "work_net_in_bytes": (820, 820, 820),
        "work_net_out_bytes": (2_340, 2_340, 2_340),
        "work_aof_bytes": (6_980, 6_980, 6_980),
        "work_jobs_per_s": (332, 332, 332),
        "swap_worker_cpu_us": (1_210, 1_210, 1_210),
        "swap_worker_rss_mb": (95.9, 95.9, 95.9),
        "hook_worker_cpu_us": (1_780, 1_780, 1_780),
        "hook_worker_rss_mb": (86.4, 86.4, 86.4),
        "connections": (80, 80, 80),
        "idle_redis_cpu_us": (6_820, 6_820, 6_820),
        "idle_worker_cpu_us": (8_000, 8_000, 8_000),
        "finished_bytes": (1_070, 1_070, 1_070),
        "finished_keys_bytes": (995, 995, 995),
        "finished_aof_bytes": (635, 635, 635),
        "tombstone_bytes": (45.1, 45.1, 45.1),
        "single_submit_redis_cpu_us": (243, 243, 243),
    },
    "hot, no webhook": {
        "submit_redis_cpu_us": (50, 50, 50),
        "submit_commands": (6.08, 6.08, 6.08),
        "submit_round_trips": (0.0201, 0.0201, 0.0201),
        "submit_net_in_bytes": (410, 410, 410),
        "submit_net_out_bytes": (13.4, 13.4, 13.4),
        "submit_aof_bytes": (620, 620, 620),
        "queued_bytes": (581, 581, 581),
        "queued_keys_bytes": (565, 565, 565),
        "work_redis_cpu_us": (286, 286, 286),
        "work_commands": (11.6, 11.6, 11.6),
        "work_round_trips": (0.4, 0.4, 0.4),
        "work_net_in_bytes": (426, 426, 426),
        "work_net_out_bytes": (1_010, 1_010, 1_010),
        "work_aof_bytes": (1_910, 1_910, 1_910),
        "work_jobs_per_s": (750, 750, 750),
        "swap_worker_cpu_us": (1_320, 1_320, 1_320),
        "swap_worker_rss_mb": (98.9, 98.9, 98.9),
        "connections": (57, 57, 57),
        "idle_redis_cpu_us": (6_610, 6_610, 6_610),
        "idle_worker_cpu_us": (4_000, 4_000, 4_000),
        "finished_bytes": (677, 677, 677),
        "finished_keys_bytes": (615, 615, 615),
        "finished_aof_bytes": (387, 387, 387),
        "tombstone_bytes": (38.3, 38.3, 38.3),
        "single_submit_redis_cpu_us": (257, 257, 257),
    },
}
