"""Small messages that unpack to large ones, and large messages: refused before they take memory."""

from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from penguindome.error_wire import from_rpc_error
from penguindome.report_wire import report_to_message
from penguindome.v1 import agent_pb2 as pb
from tests.attacks.kit.evil_reports import EvilReports
from tests.attacks.kit.wire import SECONDS
from tests.harness.reporter import output

# It looks into another user's process.
pytestmark = [pytest.mark.timeout(180), pytest.mark.root]
MIB = 1 << 20
ALLOWED_BYTES = 20 * MIB
SUBMIT = "/penguindome.v1.AgentService/SubmitReport"
ENROLL = "/penguindome.v1.BootstrapService/Enroll"
PACKED = [grpc.Compression.Gzip, grpc.Compression.Deflate]
# A client that obeys none of our limits.
ENDLESS = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
# Each within the megabyte that an output may have.
TINY_VALUES = [
    b"[" + b"[]," * 300_000 + b"[]]",
    b"[" * 900_000,
    b"{" + b'"":{},' * 150_000 + b'"":{}}',
    b"[" + b'"ab",' * 200_000 + b'"ab"]',
    b"[" + b"1.5," * 250_000 + b"1]",
]


class Memory:
    """How much memory a process took at most since it was last asked."""

    def __init__(self, pid):
        self._folder = Path("/proc") / str(pid)

    def now(self):
        return self._read("VmRSS")

    @contextmanager
    def bounded(self, size_bytes):
        """Fail if the process takes that much more memory meanwhile, if only for a moment."""
        (self._folder / "clear_refs").write_text("5")
        before = self.now()
        yield
        grown = self._read("VmHWM") - before
        assert grown < size_bytes, f"{grown / MIB:.1f} MiB more"

    def _read(self, name):
        (line,) = [
            line for line in (self._folder / "status").read_text().splitlines() if name in line
        ]
        return int(line.split()[1]) << 10


@pytest.fixture
def memory(fleet):
    return Memory(fleet.server.process.pid)


@pytest.fixture
def reports(device):
    made = EvilReports(device)
    made.says(honest=1)
    return made


@pytest.fixture
def send(fleet, keys, device):
    """Return a function that sends any bytes to any method, compressed if told so."""
    anchors = keys.anchor
    channels = []

    def opened(method):
        main = method == SUBMIT
        who = (device.key, device.certificate) if main else (None, None)
        credentials = grpc.ssl_channel_credentials(anchors, *who)
        port = fleet.server.main_port if main else fleet.server.bootstrap_port
        channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=ENDLESS)
        channels.append(channel)
        return channel

    def sent(method, data, compression=None):
        try:
            opened(method).unary_unary(method)(data, timeout=SECONDS, compression=compression)
        except grpc.RpcError as error:
            return error.code(), from_rpc_error(error)
        return grpc.StatusCode.OK, None

    yield sent
    for channel in channels:
        channel.close()


def bomb(size_bytes):
    """Return a report whose one output is this many spaces: a thousandth of it when packed."""
    value = pb.PluginOutput(name="evil", status=pb.OUTPUT_STATUS_OK, json=b" " * size_bytes)
    return pb.SubmitReportRequest(report_id="x", outputs=[value]).SerializeToString()


def ordinary(reports):
    return report_to_message(reports.report(output("evil", 1))).SerializeToString()


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("method", [SUBMIT, ENROLL])
def test_compression_bomb_is_not_unpacked(memory, send, compression, method):
    data = bomb(100 * MIB)
    with memory.bounded(ALLOWED_BYTES):
        for _ in range(3):
            code, _ = send(method, data, compression)
            assert code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", PACKED)
def test_small_compressed_message_is_refused_for_being_compressed(send, reports, compression):
    data = ordinary(reports)
    assert send(SUBMIT, data, compression)[0] is grpc.StatusCode.UNIMPLEMENTED
    assert send(SUBMIT, data)[0] is grpc.StatusCode.OK


@pytest.mark.parametrize(("method", "size"), [(SUBMIT, 5 * MIB), (SUBMIT, 100 * MIB)])
def test_message_beyond_the_limit_is_refused_unread(memory, send, method, size):
    data = bomb(size)
    with memory.bounded(ALLOWED_BYTES):
        for _ in range(3):
            assert send(method, data)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("size", [65 << 10, 100 * MIB])
def test_stranger_may_send_still_less(memory, send, size):
    with memory.bounded(ALLOWED_BYTES):
        code, _ = send(ENROLL, bomb(size))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    code, error = send(ENROLL, bomb(60 << 10))
    assert code is not grpc.StatusCode.RESOURCE_EXHAUSTED, error


def test_nested_json_in_the_largest_message_takes_no_memory(memory, send, reports):
    """Brackets of one byte become objects of a hundred: counted before they are made."""
    data = b"[" + b"[]," * (1_300_000) + b"[]]"
    value = pb.PluginOutput(name="evil", status=pb.OUTPUT_STATUS_OK, json=data)
    request = report_to_message(reports.report(output("evil", 1)))
    request.outputs[0].CopyFrom(value)
    with memory.bounded(ALLOWED_BYTES):
        code, _ = send(SUBMIT, request.SerializeToString())
        assert code is grpc.StatusCode.INVALID_ARGUMENT
    for data in TINY_VALUES:
        request.outputs[0].json = data
        with memory.bounded(ALLOWED_BYTES):
            code, _ = send(SUBMIT, request.SerializeToString())
            assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_memory_that_is_taken_is_seen(memory, reports):
    """The measure works: what is allowed takes memory."""
    with pytest.raises(AssertionError, match="MiB more"), memory.bounded(64 << 10):
        reports.says(**{f"big{n}": ["x" * 200_000] * 5 for n in range(3)})
