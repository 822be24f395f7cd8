"""The gRPC services: read the request, call one thing, convert, return."""
