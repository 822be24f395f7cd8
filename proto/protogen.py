"""Generate the protocol's Python modules when the package is built.

Source: protobuf's and gRPC's generators; the stubs are written beside the .proto files for an
editable install and into the build folder otherwise, and are never committed.
"""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
import subprocess
import sys

from setuptools.command.build_py import build_py

PROTO = pathlib.Path(__file__).resolve().parent


def compiler_command() -> list[str]:
    """Return grpcio-tools' compiler where it is installed, else the system's protoc."""
    if importlib.util.find_spec("grpc_tools") is not None:
        include = pathlib.Path(str(importlib.util.find_spec("grpc_tools").origin)).parent / "_proto"
        return [sys.executable, "-m", "grpc_tools.protoc", f"-I{include}"]
    plugin = shutil.which("grpc_python_plugin")
    if shutil.which("protoc") is None or plugin is None:
        raise SystemExit(
            "Cannot generate the protocol's modules: neither grpcio-tools nor protoc with "
            "grpc_python_plugin is installed. Install one of them, then build again."
        )
    return ["protoc", f"--plugin=protoc-gen-grpc_python={plugin}"]


def protos() -> list[str]:
    """Return the .proto files' paths below `proto/`, sorted."""
    return sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))


def has_service(proto: str) -> bool:
    """Tell whether a .proto file defines a service, and so needs a second module."""
    return "\nservice " in (PROTO / proto).read_text(encoding="utf-8")


def generated() -> list[str]:
    """Return the paths of the modules that `generate` writes, relative to its folder."""
    names: list[str] = []
    for proto in protos():
        stem = proto.removesuffix(".proto")
        names += [f"{stem}_pb2.py", f"{stem}_pb2.pyi"]
        if has_service(proto):
            names.append(f"{stem}_pb2_grpc.py")
    return names


def generate(out: pathlib.Path) -> None:
    """Write all modules below the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    command = [*compiler_command(), f"-I{PROTO}"]
    messages = [f"--python_out={out}", f"--pyi_out={out}", *protos()]
    subprocess.run([*command, *messages], check=True)
    services = [proto for proto in protos() if has_service(proto)]
    subprocess.run([*command, f"--grpc_python_out={out}", *services], check=True)


class BuildPy(build_py):
    """Build step that generates the protocol's modules first."""

    def run(self) -> None:
        """Generate, then build as usual."""
        generate(PROTO if self.editable_mode else pathlib.Path(self.build_lib))
        super().run()

    def get_outputs(self, include_bytecode: int = 1) -> list[str]:
        """Return what was built, the generated modules included."""
        made = [str(pathlib.Path(self.build_lib) / name) for name in generated()]
        return [*super().get_outputs(include_bytecode), *made]


if __name__ == "__main__":
    generate(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO)
