"""What the simulated server answers about releases; it holds every content, so none is uploaded."""

from __future__ import annotations

from penguindome.errors import NotFound
from penguindome.v1 import envelope_pb2, order_pb2, release_pb2, release_pb2_grpc

_STATES = {"advance": "rolling", "halt": "halted", "resume": "rolling", "withdraw": "withdrawn"}


class Releases(release_pb2_grpc.ReleaseServiceServicer):
    def __init__(self, simulator):
        self.simulator = simulator

    def FindMissingBlobs(self, request, context):  # noqa: N802 -- gRPC's name
        return release_pb2.FindMissingBlobsResponse()

    def ListReleases(self, request, context):  # noqa: N802
        found = [self._release(kept) for kept in reversed(self._kept())]
        return release_pb2.ListReleasesResponse(releases=found[: request.limit or 100])

    def GetRelease(self, request, context):  # noqa: N802
        kept = self._one(request.number)
        envelope = envelope_pb2.Envelope(
            kind=kept.envelope.kind,
            payload=kept.envelope.payload,
            signatures=kept.envelope.signatures,
        )
        return release_pb2.GetReleaseResponse(
            release=self._release(kept), envelope=envelope, targets=kept.targets.values()
        )

    def ChangeRollout(self, request, context):  # noqa: N802
        kept = self._one(request.number)
        kept.rollout.state = _STATES[request.action]
        kept.rollout.reason = request.reason
        kept.rollout.open_rings += request.action == "advance"
        return release_pb2.ChangeRolloutResponse(release=self._release(kept))

    def _kept(self):
        """Return releases in the order of their numbers."""
        every = self.simulator.orders.kept.values()
        return sorted(
            (one for one in every if one.order.kind == "release"),
            key=lambda one: one.order.number,
        )

    def _one(self, number):
        found = [one for one in self._kept() if number in (0, one.order.number)]
        if not found:
            raise NotFound("no such release", subject=str(number))
        return found[-1]

    def _release(self, kept):
        rollout = kept.rollout
        names = [ring.name for ring in rollout.plan.rings]
        rings = [
            release_pb2.RingProgress(name=name, open=place < rollout.open_rings, devices=1)
            for place, name in enumerate([*names, "rest"] if names else ["all"])
        ]
        made = release_pb2.Release(
            number=kept.order.number, order=self.simulator.orders.summary(kept), rings=rings
        )
        made.MergeFrom(rollout)
        return made


def begin(kept, plan):
    """Let a release begin in the first ring of its plan."""
    kept.rollout = release_pb2.Release(state="rolling", open_rings=1)
    kept.rollout.plan.CopyFrom(plan or order_pb2.RolloutPlan())


def add(server, simulator):
    release_pb2_grpc.add_ReleaseServiceServicer_to_server(Releases(simulator), server)
