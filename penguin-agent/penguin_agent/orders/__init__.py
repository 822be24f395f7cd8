"""Orders on the device: judged, remembered, acted on at most once, answered with receipts."""
