"""Every key in Redis: name, type, time to live. The data model on one page.

A *lane* is one of `LANES`. Each lane has queues (one per tenant, or per receiving host for webhooks), a fair order
among them, a register of the messages that are out, and a ready queue: the list from which Celery's workers pop.

kombu keeps keys of its own beside these: `_kombu.binding.*` (sets, no TTL: which queue hangs on which exchange) and
the pub/sub channels of events and control commands. With `ack_emulation` off it keeps no `unacked*` keys.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "swapjobs:"

SWAPS_QUEUE: Final = "swaps"
WEBHOOKS_QUEUE: Final = "webhooks"
# kombu's Redis transport emulates priorities by one list per step, and pops from the first that is not empty.
PRIORITY_STEPS: Final = (0, 9)
_PRIORITY_SEPARATOR: Final = "\x06\x16"

INTERACTIVE: Final = "interactive"
BULK: Final = "bulk"
WEBHOOKS: Final = "webhooks"
LANES: Final = (INTERACTIVE, BULK, WEBHOOKS)

# Where our workers pop messages from: lists, no TTL, gone when empty. kombu reads what stands before the separator as
# the queue. Not its own lists, in which the tasks of products arrive: those are recorded before anybody may lose them.
READY: Final = {
    INTERACTIVE: f"{SWAPS_QUEUE}{_PRIORITY_SEPARATOR}interactive",
    BULK: f"{SWAPS_QUEUE}{_PRIORITY_SEPARATOR}bulk",
    WEBHOOKS: f"{WEBHOOKS_QUEUE}{_PRIORITY_SEPARATOR}webhooks",
}
READY_OF_QUEUE: Final = {
    (SWAPS_QUEUE, PRIORITY_STEPS[0]): READY[INTERACTIVE],
    (SWAPS_QUEUE, PRIORITY_STEPS[1]): READY[BULK],
    (WEBHOOKS_QUEUE, PRIORITY_STEPS[0]): READY[WEBHOOKS],
}
# The lists of the queue `swaps`, by the priority steps that kombu has unless told otherwise: tasks of products.
TASK_QUEUES: Final = (SWAPS_QUEUE, *(f"{SWAPS_QUEUE}{_PRIORITY_SEPARATOR}{step}" for step in (3, 6, 9)))


def job(job_id: str) -> str:
    """String: a job's record (record.py): its fields, then request, failures, result, webhook tries, retries.

    TTL: none until final and delivered, then result_ttl_s.
    """
    return f"{PREFIX}job:{job_id}"


def index(tenant: str, batch_id: str = "") -> str:
    """Stream of job ids, an entry's id = when it was created: of a tenant, or of one of its batches.

    No TTL: entries of jobs that are gone are pruned, the last one with the key. A batch's goes with the batch.
    """
    return f"{PREFIX}index:{tenant}" + (f":{batch_id}" if batch_id else "")


def pruning() -> str:
    """Hash `tenant` or `tenant:batch` -> how far a pass over its index has come. No TTL: gone when empty."""
    return f"{PREFIX}pruning"


def batch(tenant: str, batch_id: str) -> str:
    """Hash: a batch, its jobs counted by state and error code. TTL: result_ttl_s while none of them is unfinished."""
    return f"{PREFIX}batch:{tenant}:{batch_id}"


def batches(tenant: str) -> str:
    """Sorted set of the tenant's batch ids, score = when created (ms). No TTL: gone when empty."""
    return f"{PREFIX}batches:{tenant}"


def held_batches() -> str:
    """Set of `tenant:batch`: paused or being cancelled, so that nothing of it starts. No TTL: gone when empty."""
    return f"{PREFIX}held-batches"


def held(tenant: str, batch_id: str) -> str:
    """Sorted set of the held jobs of a stopped batch, score = their place in the queue. No TTL: gone when empty."""
    return f"{PREFIX}held:{tenant}:{batch_id}"


def operation(operation_id: str) -> str:
    """Hash: what is done to all jobs that fit a filter, and how far it is. TTL: 90 days once it is over."""
    return f"{PREFIX}operation:{operation_id}"


def operations() -> str:
    """Sorted set of the ids of operations, score = when begun (ms); the newest 1,000 of 90 days. No TTL."""
    return f"{PREFIX}operations"


def audit() -> str:
    """Stream of what was changed by hand, and by whom; the newest 100,000 entries. TTL: 90 days after the last."""
    return f"{PREFIX}audit"


def tombstones(first_two: str) -> str:
    """Hash of the ended jobs whose ids begin so: rest of the id -> `day generation tenant`: tells gone from unknown.

    Default generation and tenant are left out. Each is swept after its Unix day, that of result_ttl_s + 40 days from
    the job's end. TTL: as long as its last one, so that it ends without a sweep, too.
    """
    return f"{PREFIX}tombstones:{first_two}"


def tombstone(job_id: str) -> tuple[str, str]:
    """Return the hash and the field of a job's tombstone."""
    return tombstones(job_id[:2]), job_id[2:]


def alias(task_id: str) -> str:
    """String: the job that a plain Celery producer's task became. TTL: result_ttl_s + 40 days."""
    return f"{PREFIX}alias:{task_id}"


def arriving() -> str:
    """List of the tasks of products that were taken from their queue, not recorded yet. No TTL: gone when empty."""
    return f"{PREFIX}tasks-arriving"


def delayed() -> str:
    """Sorted set of tasks of products, score = their eta (ms). No TTL: gone when empty."""
    return f"{PREFIX}tasks-delayed"


def revoked(task_id: str) -> str:
    """String: this task was revoked before it was recorded. TTL: a day, or until its eta."""
    return f"{PREFIX}task-revoked:{task_id}"


def continuations(job_id: str) -> str:
    """Hash: a product's Celery task -> JSON of what comes after it. Of jobs that came so; TTL: the job's."""
    return f"{PREFIX}continuations:{job_id}"


def delivery(delivery_id: str) -> str:
    """String: a delivery's record: its fields, then its URL with what it tells unless that is a job, then its tries.

    A job's own is in the job's record, as fields `delivery_...`. TTL: result_ttl_s once it ended.
    """
    return f"{PREFIX}delivery:{delivery_id}"


def deliveries(tenant: str) -> str:
    """Sorted set of a tenant's deliveries, score = when they began (ms). TTL: result_ttl_s + 84 h after the last."""
    return f"{PREFIX}deliveries:{tenant}"


def job_deliveries(job_id: str) -> str:
    """Set of the pending deliveries that tell of this job's end, without its own. No TTL: gone when empty."""
    return f"{PREFIX}job-deliveries:{job_id}"


def endpoint(endpoint_id: str) -> str:
    """Hash: a registered webhook endpoint; its secret is derived and not in it. No TTL: until it is removed."""
    return f"{PREFIX}endpoint:{endpoint_id}"


def endpoints(tenant: str) -> str:
    """Set of a tenant's endpoints. No TTL: gone when empty."""
    return f"{PREFIX}endpoints:{tenant}"


def all_endpoints() -> str:
    """Set of all endpoints. No TTL: gone when empty."""
    return f"{PREFIX}all-endpoints"


def undelivered(endpoint_id: str) -> str:
    """Set of an endpoint's pending deliveries. No TTL: gone when empty."""
    return f"{PREFIX}undelivered:{endpoint_id}"


def host(name: str) -> str:
    """Hash: a receiver's host: tries in flight, how many there may be, its breaker. TTL: a day after the last try."""
    return f"{PREFIX}host:{name}"


def queue(lane: str, owner: str) -> str:
    """Sorted set of job ids, score = place. No TTL: gone when empty."""
    return f"{PREFIX}queue:{lane}:{owner}"


def fair(lane: str) -> str:
    """Sorted set of tenants or hosts with a queue, score = how much each has had. No TTL: gone when empty."""
    return f"{PREFIX}fair:{lane}"


def blocked(lane: str) -> str:
    """Set of the tenants that the fair order leaves out, for a limit of their own. No TTL: gone when empty."""
    return f"{PREFIX}blocked:{lane}"


def published(lane: str) -> str:
    """Sorted set of the jobs whose message is out, score = when (ms). No TTL: gone when empty."""
    return f"{PREFIX}published:{lane}"


def schedule() -> str:
    """Sorted set of `kind:id`, score = when to look at it (ms). No TTL: gone when empty.

    Of a job: lease, retry, poll, expiry, final_failure (failed, unless this proves to be an outage). Of a delivery:
    delivery. Of a tenant: tenant (its own rate allows a call again). Of a tenant or `tenant:batch`: prune (look for
    entries of its index that can go). Of `tenant:batch`: batch (go on with what is done to all its jobs),
    forget_batch (is it gone by now?). Of an operation: operation (go on). Of a receiver's host: host (its pause is
    over). Of an endpoint that ended: give_up.
    """
    return f"{PREFIX}schedule"


def fleet_state() -> str:
    """String of packed numbers (`fleet_state.STATE`): the limits that workers set, and what changes seldom. No TTL."""
    return f"{PREFIX}fleet-state"


def fleet_traffic() -> str:
    """String of packed numbers (`fleet_state.TRAFFIC`): what nearly every call changes. No TTL."""
    return f"{PREFIX}fleet-traffic"


def counts() -> str:
    """Hash: how often each of `dispatch.COUNTS` happened. No TTL."""
    return f"{PREFIX}counts"


def metrics() -> str:
    """Hash: what the metrics count (metrics.py), name and labels -> number. No TTL."""
    return f"{PREFIX}metrics"


def observed() -> str:
    """String of packed observations (lua/shared/fleet/metrics.lua) that are not in that hash yet, at most some hundred.

    No TTL: gone when empty.
    """
    return f"{PREFIX}observed"


def minutes(hour: str = "") -> str:
    """Hash of the Unix hour: `minute of it, what` -> how many (trends.py). TTL: 25 h."""
    return f"{PREFIX}minutes:{hour}"


def hours(day: str = "") -> str:
    """Hash of the Unix day: `hour of it, what` -> how many. TTL: 32 days."""
    return f"{PREFIX}hours:{day}"


def usage(day: str = "") -> str:
    """Hash of the Unix day: `tenant outcome` -> jobs that ended so; at most 5,000 fields. TTL: 32 days."""
    return f"{PREFIX}usage:{day}"


def metrics_tenants() -> str:
    """Set of the tenants that are counted by name, the workers' SWAPJOBS_METRICS_TENANTS. No TTL."""
    return f"{PREFIX}metrics-tenants"


def server() -> str:
    """String: the run_id of the Redis server that the fleet knows. No TTL."""
    return f"{PREFIX}server"


def tenant(name: str) -> str:
    """Hash: a tenant's own limits and what is used of them. No TTL; there is none for tenants without limits."""
    return f"{PREFIX}tenant:{name}"


def listed_tenants() -> str:
    """Set of the tenants that have an index: of whose jobs records are kept. No TTL: gone when empty."""
    return f"{PREFIX}listed-tenants"


def tenants() -> str:
    """Set of the tenants that have limits of their own. No TTL: gone when empty."""
    return f"{PREFIX}tenants"


def gateway_keys() -> str:
    """Hash: key id -> JSON of a gateway key, with the digest of its secret (api_keys.py). No TTL."""
    return f"{PREFIX}gateway-keys"


def console_session(digest: str) -> str:
    """Hash: who is signed in to the console: the key's id and digest; `digest` is the cookie's. TTL: until its end."""
    return f"{PREFIX}console-session:{digest}"


def failures() -> str:
    """Sorted set of `job id:fence:charged`, score = when that call failed (ms). TTL: minutes."""
    return f"{PREFIX}failures"


def refused() -> str:
    """The same for calls whose credentials or quota were refused since the last success. TTL: one hour."""
    return f"{PREFIX}refused"


def probes() -> str:
    """Set of the jobs that probe the vendor now. No TTL: gone when dispatch is resumed."""
    return f"{PREFIX}probes"


def parked() -> str:
    """Sorted set of the jobs that were probes in this outage, score = when (ms). No TTL: gone at its end."""
    return f"{PREFIX}parked"


def dispatcher() -> str:
    """String: the worker whose dispatcher works now. TTL: 2 s."""
    return f"{PREFIX}dispatcher"


def workers() -> str:
    """Hash: worker -> JSON of its slots and how busy they are (worker_usage.py). TTL 1 h; stale fields do not count."""
    return f"{PREFIX}workers"


def read(id_: str) -> str:
    """String of JSON: a question to the vendor that is no job (vendor/reads.py). TTL: as long as somebody waits."""
    return f"{PREFIX}read:{id_}"


def read_answer(id_: str) -> str:
    """List with the one answer to it. TTL: 1 min."""
    return f"{PREFIX}read-answer:{id_}"


def read_pause() -> str:
    """String: no question of this kind is put to the vendor while it lives. TTL: ten intervals of the rate."""
    return f"{PREFIX}read-pause"


def callback_key() -> str:
    """String: the key of the codes in the vendor's callback URLs (vendor/callbacks.py). No TTL."""
    return f"{PREFIX}callback-key"


def disk() -> str:
    """String: written before a wait for the disk, which waits only for its own connection's writes. TTL: 1 min."""
    return f"{PREFIX}disk"


def changed(job_id: str) -> str:
    """Pub/sub channel, no key: told every state that the job goes to, but for the first."""
    return f"{PREFIX}changed:{job_id}"


def libraries() -> str:
    """Hash: name of a library of functions -> when a worker last used it (ms). TTL: 2 days after the last use."""
    return f"{PREFIX}libraries"


# What Lua knows: where a key ends in an id, a tenant or the like, the part before it.
PREFIXES: Final = {
    **{
        function.__name__: function("")
        for function in (
            *(job, tombstones, delivery, deliveries, job_deliveries, endpoint, endpoints, undelivered),
            *(host, fair, blocked, published, tenant, changed, index, batches, alias, continuations, operation),
            *(read, read_answer),
        )
    },
    **{
        function.__name__: function()
        for function in (
            *(schedule, fleet_state, fleet_traffic, counts, server, tenants, failures, refused, parked, probes),
            *(dispatcher, pruning),
            *(held_batches, all_endpoints, listed_tenants, arriving, delayed, metrics, observed, metrics_tenants),
            *(operations, audit, minutes, hours, usage, read_pause),
        )
    },
    "queue": f"{PREFIX}queue:",
    "batch": f"{PREFIX}batch:",
    "held": f"{PREFIX}held:",
}
