"""Which act does which kind of order, and what the engine of orders is given of the agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguin_agent.blob_source import LinkBlobs
from penguin_agent.orders.judging import Owner
from penguin_agent.orders.making import Orders, Surroundings, make_orders
from penguin_agent.orders.trust_renewal import TrustRenewal
from penguin_agent.release.making import make_release_acts
from penguin_agent.release.sealed import Programs
from penguin_agent.wipe.act import WipeAct, delivered

if TYPE_CHECKING:
    import asyncio

    from penguin_agent.agent import Agent
    from penguin_agent.config import Allow
    from penguin_agent.failpoints import Failpoint


def agent_orders(agent: Agent, group: asyncio.TaskGroup, failpoint: Failpoint) -> Orders:
    """Return the engine of a running agent, with all the acts that there are."""
    base, device = agent.base, agent.identity.device
    state_dir = base.settings.paths.state_dir
    renewal = TrustRenewal(base.trust, device, base.clock)
    orders = make_orders(
        Surroundings(
            state_dir=state_dir,
            owner=Owner(device.fleet, device.device_id, base.hostname, base.version),
            key_pem=lambda: (base.identities.known or agent.identity).key_pem,
            clock=base.clock,
            trust=base.trust.newest,
            renew_trust=renewal.renew,
            allow=base.settings.allow,
            link=agent.link,
            programs=Programs(state_dir / "plugins-work" / "copies"),
            delivered=lambda order_id: delivered(state_dir, order_id),
            group=group,
            failpoint=failpoint,
        )
    )
    orders.acts.update(
        make_release_acts(
            agent.release,
            source=LinkBlobs(agent.link),
            runner=orders.runner,
            now=base.clock.now,
            failpoint=failpoint,
        )
    )
    wipe = WipeAct(state_dir)
    orders.acts.update({"wipe": wipe, "wipe-plan": wipe, "shell": agent.shells.act})
    return orders


def denied_kinds(allow: Allow) -> tuple[str, ...]:
    """Return what the device's own settings forbid, as a check-in and the output `agent` say it."""
    words = ("commands", "patches", "releases", "shell", "wipe")
    return tuple(word for word in words if not getattr(allow, word))
