"""The shipped checks, one YAML file each."""
