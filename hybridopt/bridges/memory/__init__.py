"""Memory bridge: the weights of any network as cosines of the angles of one circuit."""
