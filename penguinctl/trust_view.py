"""The trust document, its proposal and its history, as people and as programs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import moments, output, ui
from penguinctl.server_trust import fingerprint, written
from penguindome.times import to_unix_ms
from penguindome.trust_thresholds import too_low, weaknesses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguinctl.trust_history import Version
    from penguinctl.trust_proposals import Proposed
    from penguindome.trust import TrustDocument


def document_json(
    document: TrustDocument, digest: bytes, proposed: Proposed | None
) -> dict[str, Any]:
    """Return a document for programs, and what is proposed in its place."""
    return {
        "version": document.version,
        "hash": digest.hex(),
        "fleet_id": document.fleet,
        "issued_time": moments.iso(to_unix_ms(document.issued_time)),
        "expires_time": moments.iso(to_unix_ms(document.expires_time)),
        "void_before_time": moments.iso(to_unix_ms(document.ticket_floor_time)),
        "operators": [
            {"name": name, "fingerprint": one} for one, name in sorted(document.operators.items())
        ],
        "roles": {
            name: {
                "threshold": role.threshold,
                "operators": [document.operators[one] for one in role.fingerprints],
            }
            for name, role in document.roles.items()
        },
        "tls_anchors": [fingerprint(one) for one in document.tls_anchors],
        "server_addresses": [written(one) for one in document.server_addresses],
        "warnings": weaknesses(document),
        "recommended_thresholds": dict(too_low(document)),
        "proposal": None if proposed is None else proposal_json(proposed),
    }


def proposal_json(found: Proposed) -> dict[str, Any]:
    """Return a proposal for programs."""
    return {
        "version": found.document.version,
        "hash": found.hash.hex(),
        "proposed_by": found.proposed_by,
        "proposed_time": moments.iso(found.proposed_unix_ms),
        "changes": found.changes,
        "signed_by": found.signed_by,
        "lacking_old_root": found.standing.lacking_old,
        "lacking_new_root": found.standing.lacking_new,
        "may_sign": found.may_sign,
        "complete": found.standing.complete,
    }


def version_json(version: Version) -> dict[str, Any]:
    """Return one version of the history for programs."""
    return {
        "version": version.document.version,
        "hash": version.hash.hex(),
        "issued_time": moments.iso(to_unix_ms(version.document.issued_time)),
        "expires_time": moments.iso(to_unix_ms(version.document.expires_time)),
        "signed_by": version.signed_by,
        "changes": version.changes,
    }


def show_document(document: TrustDocument, digest: bytes, now: datetime) -> None:
    """Print a document."""
    rows: list[tuple[str, str | ui.Styled]] = [
        ("Version", str(document.version)),
        ("Hash", digest.hex()),
        ("Fleet", document.fleet),
        ("Issued", moments.local(to_unix_ms(document.issued_time), now)),
        ("Ends", moments.local(to_unix_ms(document.expires_time), now)),
        ("Void before", moments.local(to_unix_ms(document.ticket_floor_time), now)),
    ]
    rows += [
        (f"Key of {document.operators[one]}", one)
        for one in sorted(document.operators, key=document.operators.__getitem__)
    ]
    rows += [
        (f"Role {name}", f"{role.threshold} of {_names(document, role.fingerprints)}")
        for name, role in document.roles.items()
    ]
    rows += [("TLS anchor", fingerprint(one)) for one in document.tls_anchors]
    rows += [("Address", written(one)) for one in document.server_addresses]
    output.pairs(rows)


def show_proposal(found: Proposed, now: datetime) -> None:
    """Print a proposal: what it changes, who signed it, and who has to."""
    when = moments.local(found.proposed_unix_ms, now)
    ui.out(
        ui.Styled(f"Proposed: version {found.document.version}", "bold"),
        f", by {found.proposed_by}, {when}",
    )
    ui.out(f"  Hash: {found.hash.hex()}")
    for change in found.changes:
        ui.out(f"  - {change}")
    ui.out(f"  Signed by: {output.words(found.signed_by)}")
    ui.out(f"  {next_step(found)}")


def next_step(found: Proposed) -> str:
    """Say what a proposal lacks, and what to run."""
    state = found.standing
    if state.complete:
        return "It has signatures enough: penguinctl trust publish"
    missing = [
        f"{number} by {whose} root keys"
        for number, whose in ((state.lacking_old, "the present"), (state.lacking_new, "its own"))
        if number
    ]
    names = output.words(found.may_sign)
    return f"It lacks signatures ({', '.join(missing)}). {names} may sign: penguinctl trust sign"


def show_history(versions: Sequence[Version], now: datetime) -> None:
    """Print versions, the newest first."""
    for version in versions:
        issued = moments.local(to_unix_ms(version.document.issued_time), now)
        ui.out(ui.Styled(f"Version {version.document.version}", "bold"), f", {issued}")
        ui.out(f"  Hash: {version.hash.hex()}")
        ui.out(f"  Signed by: {output.words(version.signed_by)}")
        for change in version.changes:
            ui.out(f"  - {change}")


def advise(document: TrustDocument) -> None:
    """Tell loudly what one stolen or lost key would do, and what is recommended."""
    for weakness in weaknesses(document):
        ui.note(ui.Styled("WARNING: ", "bold"), weakness)
    if len(document.operators) == 1:
        ui.note("Add a second and a third operator: penguinctl trust add NAME --key-file FILE")
    low = too_low(document)
    if low:
        said = ", ".join(
            f"{role} {n} (now {document.roles[role].threshold})" for role, n in low.items()
        )
        ui.note(
            f"Recommended for this many operators: {said}."
            " Propose that with: penguinctl trust propose --recommended"
        )


def _names(document: TrustDocument, fingerprints: tuple[str, ...]) -> str:
    return output.words([document.operators[one] for one in fingerprints])
