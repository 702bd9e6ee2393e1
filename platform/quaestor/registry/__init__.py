"""Policy iterations, their evidence, the gate that judges it, and who is live."""
