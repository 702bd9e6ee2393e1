"""The service: decisions over HTTP, by a small application over the runtime."""
