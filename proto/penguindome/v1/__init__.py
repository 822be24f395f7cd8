"""The protocol between PenguinDome's three programs, generated from the .proto files beside."""
