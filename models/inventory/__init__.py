"""Order policies for supply networks, learned by gradients through a simulator of the network (HDPO)."""
