"""What the simulated server answers about parameters; linking is the real server's business."""

from penguindome import selectors
from penguindome.v1 import parameter_pb2, parameter_pb2_grpc
from tests.penguinctl import samples


class Parameter(parameter_pb2_grpc.ParameterServiceServicer):
    def __init__(self, simulator):
        self.simulator = simulator

    @property
    def held(self):
        return self.simulator.state.parameters

    def ListParameters(self, request, context):  # noqa: N802
        selector = selectors.parse_selector(request.selectors)
        found = [
            one
            for one in self.held
            if (not request.names or one.name in request.names)
            and selectors.matches_name(selector, one.hostname, one.device_id)
        ]
        return parameter_pb2.ListParametersResponse(parameters=found)

    def SetParameter(self, request, context):  # noqa: N802
        before = [one for one in self.held if self._is_meant(one, request)]
        hostname = self.simulator.state.one(request.device_id).hostname
        now = samples.parameter(
            request.device_id, hostname, name=request.name, values=request.values
        )
        if request.name == "user_clients":
            now.hostnames[:] = [self.simulator.state.one(one).hostname for one in request.values]
        changed = not before or before[0].values != now.values
        self.held[:] = [one for one in self.held if one not in before] + [now]
        shown = [list(one.hostnames or one.values) for one in before]
        return parameter_pb2.SetParameterResponse(
            changed=changed, before=shown[0] if shown else [], parameters=[now]
        )

    def UnsetParameter(self, request, context):  # noqa: N802
        kept = [one for one in self.held if not self._is_meant(one, request)]
        changed = len(kept) < len(self.held)
        self.held[:] = kept
        return parameter_pb2.UnsetParameterResponse(changed=changed)

    @staticmethod
    def _is_meant(one, request):
        return (one.device_id, one.name) == (request.device_id, request.name)


def add(server, simulator):
    parameter_pb2_grpc.add_ParameterServiceServicer_to_server(Parameter(simulator), server)
