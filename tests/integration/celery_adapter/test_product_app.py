"""What a product's result backend makes of the end of a chord's parts, on a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.product import gather, leave, use
from swapworker.celery_adapter.product_app import ProductApp
from swapworker.delivery.continuation import NotYet, TaskEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swapjobs.settings import WorkerSettings
    from swapjobs.store.store import Store

# Celery's backend calls what redis-py wants to be called by another name.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")

CLAIM = "celery-taskset-meta-g1.c"  # Celery's own, to the chord's body


@pytest.fixture
def product(settings: WorkerSettings, redis_url: str) -> Iterator[ProductApp]:
    use(redis_url)
    gather.backend.set_chord_size("g1", 2)
    yield ProductApp(settings)
    leave()


def part(number: int) -> TaskEnd:
    body: Any = gather.s()
    body.options.update(task_id="b1", chord_size=2)
    about = {"group": "g1", "group_index": number, "chord": dict(body), "ignore_result": False}
    return TaskEnd({"id": f"p{number}", "root_id": f"p{number}", **about}, "SUCCESS", {"number": number})


def test_a_part_that_comes_after_the_body_was_sent_has_nothing_to_wait_for(product: ProductApp, store: Store) -> None:
    for number in (0, 1, 1):  # the last one is told twice: its worker died before that was written down
        product.tell(part(number))
    assert store.redis.get(CLAIM) == "done"
    assert store.redis.llen("celery") == 1


def test_a_part_waits_while_another_worker_sends_the_body_and_sends_it_where_that_one_died(
    product: ProductApp, store: Store
) -> None:
    product.tell(part(0))
    store.redis.set(CLAIM, "of another", ex=60)
    with pytest.raises(NotYet):
        product.tell(part(1))
    assert store.redis.llen("celery") == 0
    store.redis.delete(CLAIM)  # the claim of a dead one runs out
    product.tell(part(1))
    assert store.redis.llen("celery") == 1
