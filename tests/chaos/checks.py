"""The promises, checked against the books of all who took part: producers, Redis, vendor, receiver."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from chaos.jobs import business_id, id_of
from swapjobs import ErrorCode
from swapjobs.contract.lifecycle import FINAL, JobState
from swapjobs.contract.vendor_ids import job_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chaos.child import Child
    from chaos.feeder import Answers
    from chaos.look import Leftovers, Look

# Of each check only so many jobs are shown in full.
_SHOWN: Final = 3


@dataclass
class Account:
    """What became of a phase's jobs.

    Attributes:
        accepted: A producer was told so.
        states: How many are in which state.
        lost: Accepted, but unknown or not final at the end, or unknown in between.
        paid_twice: Billings beyond the first of a business id.
    """

    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    paid_twice: int = 0


@dataclass
class Findings:
    """What the checks found.

    Attributes:
        accounts: By phase.
        problems: What is wrong; empty when every promise was kept.
        counts: How often each of `line.COUNTS` happened.
        stats: The vendor's counts.
        webhook_tries: How many webhook ids the receiver got how often.
        busiest_second: The most calls that the vendor got within one second.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    webhook_tries: Counter[int] = field(default_factory=Counter)
    busiest_second: int = 0


class Books(Protocol):
    """What vendor, receiver and workers have written down; a `Stack` is one."""

    @property
    def children(self) -> Sequence[Child]: ...

    def vendor(self, path: str, **query: str | float) -> Any: ...

    def events(self) -> Any: ...


class Checker:
    """Reads all books once, and compares them."""

    def __init__(self, books: Books, look: Look, output: Answers) -> None:
        self._books = books
        self._look = look
        self._told = output
        self._tasks: Mapping[str, Any] = books.vendor("tasks")
        self._billed: Counter[str] = Counter()
        for vendor_id, task in self._tasks.items():
            self._billed[job_of(vendor_id) or vendor_id] += task["billed"]
        self.findings = Findings(counts=look.counts(), stats=books.vendor("stats"), problems=list(output.problems))
        self._ids: dict[str, str] = {}
        self._states: dict[str, str | None] = {}

    def jobs(self) -> None:
        """Every accepted job is final; a succeeded one was billed once, any other one not at all."""
        for phase, numbers in self._told.accepted.items():
            ids = {id_of(phase, number): business_id(phase, number) for number in numbers}
            states = self._look.states(ids)
            self._ids.update(ids)
            self._states.update(states)
            lost = {id_ for id_, state in states.items() if state not in FINAL}
            lost |= {id_of(phase, number) for number in self._told.forgotten[phase]}
            paid_twice = sum(max(self._billed[id_] - 1, 0) for id_ in ids)
            self.findings.accounts[phase] = Account(len(ids), Counter(map(str, states.values())), len(lost), paid_twice)
            self._report(f"phase {phase}: lost", lost)
        bills = {id_: self._billed[id_] for id_ in self._ids}
        ok = {id_ for id_, state in self._states.items() if state == JobState.SUCCEEDED}
        self._report("paid more than once", (id_ for id_, billed in bills.items() if billed > 1))
        self._report("succeeded without a billing", (id_ for id_ in ok if not bills[id_]))
        self._report("paid for, yet not succeeded", (id_ for id_ in bills.keys() - ok if bills[id_]))
        strangers = self._billed.keys() - self._ids.keys()
        if strangers:
            self.findings.problems.append(f"the vendor was asked for what nobody submitted: {sorted(strangers)[:5]}")

    def ends(self) -> None:
        """A job fails only by the vendor's own word: this vendor's other faults pass."""
        unhappy = [id_ for id_, state in self._states.items() if state in FINAL and state != JobState.SUCCEEDED]
        errors = {id_: self._look.job(id_).error for id_ in unhappy}
        by_us = (id_ for id_, error in errors.items() if error is None or error.code != ErrorCode.SWAP_FAILED)
        self._report("ended badly though the vendor did not say so", by_us)

    def metrics(self) -> None:
        """What the metrics count adds up to what the records say, whatever was killed."""
        counted = self._look.metrics().counts
        ended: Counter[str] = Counter()
        for (_, outcome, _), number in counted["jobs"].items():
            ended[outcome] += number
        said = {
            "submitted": (sum(counted["submitted"].values()), len(self._ids)),
            "ended": (dict(ended), dict(Counter(map(str, self._states.values())))),
            "billed": (
                sum(counted["billed"].values()),
                sum(self._states[id_] == JobState.SUCCEEDED for id_ in self._ids),
            ),
        }
        wrong = [f"{name} {shown}, by the records {true}" for name, (shown, true) in said.items() if shown != true]
        if wrong:
            self.findings.problems.append(f"the metrics don't add up: {'; '.join(wrong)}")

    def webhooks(self) -> None:
        """The receiver got one webhook id for every finished job, rightly signed, and it tells the job's end."""
        events = self._books.events()
        came: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for event in events:
            came[event["job_id"]][event["id"]] = event["type"]
            self.findings.webhook_tries[event["tries"]] += 1
        final = {id_ for id_, state in self._states.items() if state in FINAL}
        result = final & came.keys()
        self._report("final, but no webhook came", final - result)
        self._report("more than one webhook id", (id_ for id_ in result if len(came[id_]) > 1))
        wrong = (id_ for id_ in result if set(came[id_].values()) != {f"swap.{self._states[id_]}"})
        self._report("the webhook tells another end", wrong)
        unsigned = [event["id"] for event in events if not event["verified"]]
        if unsigned:
            self.findings.problems.append(f"webhooks whose signature is wrong: {unsigned[:5]}")
        stray = came.keys() - self._ids.keys()
        if stray:
            self.findings.problems.append(f"webhooks of unknown jobs: {sorted(map(str, stray))[:5]}")

    def pace(self) -> None:
        """Note the busiest second. No check: what a loaded machine holds up arrives in a bunch."""
        times = sorted(call["at"] for call in self._books.vendor("calls"))
        self.findings.busiest_second = max(
            (at - bisect.bisect_left(times, time - 1) for at, time in enumerate(times, 1)), default=0
        )

    def rest(self, leftovers: Leftovers) -> None:
        """Nothing is left to do, and nothing stays in Redis for ever."""
        if leftovers:
            self.findings.problems.append(f"left over at the end: {leftovers}")
        lasting = self._look.without_ttl()
        if lasting:
            self.findings.problems.append(f"{len(lasting)} keys without a time to live: {', '.join(lasting[:10])}")

    def _report(self, what: str, ids: Iterable[str]) -> None:
        result = sorted(ids)
        if result:
            shown = "\n".join(self._explain(id_) for id_ in result[:_SHOWN])
            self.findings.problems.append(f"{what}: {len(result)} jobs, such as\n{shown}")

    def _explain(self, id_: str) -> str:
        """Return what is known of a job: its record, the vendor's calls for it, the workers' lines about it."""
        fields, history = self._look.raw(id_)
        name = self._ids.get(id_, "?")
        lines = [f"job {id_}, business id {name}", f"  record: {fields}", *(f"  history: {line}" for line in history)]
        for vendor_id, task in self._tasks.items():
            if job_of(vendor_id) == id_:
                lines.append(f"  the vendor's task {vendor_id}: {task}")
                lines += [f"    {call}" for call in self._books.vendor("calls", id=vendor_id)]
        for child in self._books.children:
            lines += [f"  {child.name}: {line}" for line in child.lines_with(id_)]
        return "\n".join(lines)


def check(books: Books, look: Look, output: Answers, leftovers: Leftovers) -> Findings:
    """Make every check and return what was found."""
    checker = Checker(books, look, output)
    checker.jobs()
    checker.ends()
    checker.webhooks()
    checker.metrics()
    checker.pace()
    checker.rest(leftovers)
    return checker.findings
