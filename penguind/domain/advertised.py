"""What devices and operators are told to dial, which may differ from what is bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advertised:
    """The public address of both listeners."""

    host: str
    main_port: int
    bootstrap_port: int
