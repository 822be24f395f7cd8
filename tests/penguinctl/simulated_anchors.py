"""What the simulated server answers about its anchors: it has one."""

from penguindome import certs
from penguindome.v1 import server_pb2


class Anchors:
    def ListAnchors(self, request, context):  # noqa: N802
        anchor = server_pb2.Anchor(certificate=certs.pem_to_der(self.simulator.anchor.pem))
        return server_pb2.ListAnchorsResponse(anchors=[anchor])
