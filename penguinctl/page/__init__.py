"""The fleet at a glance as one self-contained HTML page: no script, nothing from elsewhere."""
