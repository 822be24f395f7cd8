"""Orders: what operators sign and devices do; their kinds, bodies, openings and receipts."""
