"""Setting a server up: questions, keys, the settings file and the first invitation."""
