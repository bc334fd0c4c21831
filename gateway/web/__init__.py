"""What both listeners are made of: connections, bodies, keys, answers."""
