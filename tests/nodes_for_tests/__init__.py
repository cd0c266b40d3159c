"""Nodes that misbehave on demand, for servers started with this as NODE_PACKAGES."""
