"""Remote shells: what both ends must agree on; the server between them sees sealed bytes only."""
