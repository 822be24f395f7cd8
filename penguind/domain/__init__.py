"""The rules: values in, values out; no clock, disk, socket or database."""
