"""Where policies are learned: the only home of torch, torch_geometric and scikit-learn."""
