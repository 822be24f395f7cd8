"""The release tree on the device: verified, switched at once, watched, taken back."""
