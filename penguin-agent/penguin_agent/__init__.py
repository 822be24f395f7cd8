"""The agent: collects posture on a device, hands it in, and acts on signed orders."""
