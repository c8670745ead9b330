"""The harness tells the truth about a run, and a seed means the same run."""

from __future__ import annotations

from random import Random

from chaos.checks import Account, Findings
from chaos.driver import Result
from chaos.faults import Injection
from chaos.plan import MIXED, Kind, Plan
from chaos.report import below, table


def struck(recovered_s: float | None, held: int | None) -> Injection:
    return Injection(
        Kind.WORKER_KILL,
        Kind.WORKER_KILL,
        "swaps-1 SIGKILL",
        probe=lambda _: False,
        held=held,
        recovered_s=recovered_s,
    )


def cells(*injections: Injection) -> list[str]:
    findings = Findings(accounts={Kind.WORKER_KILL: Account(accepted=1200, lost=2, paid_twice=1)})
    row = table(Result(seed=1, injections=list(injections), findings=findings)).splitlines()[-1]
    return row.strip("| ").split(" | ")


def test_a_row_counts_and_takes_median_and_maximum() -> None:
    assert cells(struck(4.0, 16), struck(3.0, 16), struck(9.0, 1))[1:6] == ["3", "1,200", "2", "1", "4.0 s, 9.0 s"]


def test_a_fault_on_which_nothing_hung_does_not_make_recovery_look_fast() -> None:
    assert cells(struck(0.0, 0), struck(4.0, 16))[5] == "4.0 s, 4.0 s"
    assert cells(struck(0.0, 0))[5] == "nothing hung on it"


def test_a_fault_from_which_it_did_not_recover_is_named() -> None:
    assert cells(struck(4.0, 16), struck(None, 16))[5] == "4.0 s, 4.0 s; 1 never"
    assert cells(struck(None, None))[5] == "1 never"


def test_every_kind_of_fault_has_its_definition_below_the_table() -> None:
    text = below(Result(seed=1))
    for word in ("worker killed, frozen or stopped", "Redis killed or frozen", "producer killed", "receiver down"):
        assert f"- {word}" in text


def test_the_same_seed_gives_the_same_order_of_faults() -> None:
    plan = Plan(apart={Kind.REDIS_KILL: 2, Kind.HOOKS_KILL: 0}, mixed=dict.fromkeys(Kind, 3))
    assert plan.phases(Random(5)) == plan.phases(Random(5))
    assert plan.phases(Random(5)) != plan.phases(Random(6))
    assert [phase.name for phase in plan.phases(Random(5))] == [Kind.REDIS_KILL, MIXED]
