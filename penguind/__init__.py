"""The server: stores what devices report, judges it, and serves operators."""
