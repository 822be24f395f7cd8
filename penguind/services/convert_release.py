"""Releases between the wire and the domain."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.v1 import order_pb2, release_pb2

if TYPE_CHECKING:
    from penguind.domain.rollout import Counts, Rollout
    from penguind.domain.rollout_plan import Plan
    from penguind.releases.rings import Standing

_SECOND = timedelta(seconds=1)


def release_message(
    rollout: Rollout, standing: Standing | None, order: order_pb2.Order | None
) -> release_pb2.Release:
    """Return a release as operators see it."""
    names = rollout.plan.names
    rings = standing.rings if standing else ()
    return release_pb2.Release(
        number=rollout.number,
        label=rollout.label,
        order=order,
        state=rollout.state,
        reason=rollout.reason,
        plan=_plan(rollout.plan),
        open_rings=rollout.open_rings,
        rings=[
            _ring(name, counts, is_open=index < rollout.open_rings)
            for index, (name, counts) in enumerate(zip(names, rings, strict=False))
        ],
    )


def _plan(plan: Plan) -> order_pb2.RolloutPlan:
    return order_pb2.RolloutPlan(
        rings=[
            order_pb2.RolloutRing(name=one.name, percent=one.percent, selectors=one.selectors)
            for one in plan.rings
        ],
        healthy_percent=plan.healthy_percent,
        automatic=plan.automatic,
        soak_seconds=plan.soak // _SECOND,
    )


def _ring(name: str, counts: Counts, *, is_open: bool) -> release_pb2.RingProgress:
    return release_pb2.RingProgress(
        name=name,
        open=is_open,
        devices=counts.devices,
        healthy=counts.healthy,
        failed=counts.failed,
        under_way=counts.under_way,
        refused=counts.refused,
    )
