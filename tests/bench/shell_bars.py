"""What a remote shell has to reach beside OpenSSH, and a table of what it does.

The ratio's bar is for a shell's prompt, where people type; that of `cat`, where the terminal
answers by itself, is printed beside it.
"""

from __future__ import annotations

# What floods a terminal, by the names of the rates.
BULK = {"base64": b"head -c 12M /dev/zero | base64", "seq": b"seq 1500000"}
# The bars: milliseconds, ratios to ssh -J, MiB.
BARS = {"prompt": 300.0, "p50": 3.0, "p99": 10.0, "p50 ratio": 3.0, "bulk": 0.8, "growth": 32.0}


def show(middle: dict[str, dict[str, float]], growth: dict[str, float]) -> None:
    """Print what was found, beside `ssh -J`."""
    print(f"{'':16}" + "".join(f"{way:>12}" for way in middle) + f"{'ours/ssh -J':>14}")
    for name in middle["ssh -J"]:
        unit = "MB/s" if name in BULK else "ms"
        row = "".join(f"{middle[way][name]:12.2f}" for way in middle)
        ratio = middle["ours"][name] / middle["ssh -J"][name]
        ratio = middle["ours"].get(f"{name} ratio", ratio)
        print(f"{name:16}{row}{ratio:14.2f}  {unit}")
    for name, size in growth.items():
        print(f"{name} grows by {size:.1f} MiB while nobody reads")


def missed(middle: dict[str, dict[str, float]], growth: dict[str, float]) -> list[str]:
    """Return the names of the bars that are missed."""
    ours, jump = middle["ours"], middle["ssh -J"]
    met = {
        "prompt": ours["prompt"] <= BARS["prompt"],
        "memory": max(growth.values()) < BARS["growth"],
    }
    for name in ("bash", "cat"):
        met[f"{name} p50"] = ours[f"{name} p50"] <= BARS["p50"]
        met[f"{name} p99"] = ours[f"{name} p99"] <= BARS["p99"]
    met["p50 ratio"] = ours["bash p50"] <= BARS["p50 ratio"] * jump["bash p50"]
    met |= {name: ours[f"{name} ratio"] >= BARS["bulk"] for name in BULK}
    return [name for name, is_met in met.items() if not is_met]
