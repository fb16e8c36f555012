"""Generator bridge: the weights of any network from a small circuit with few angles."""
