"""What people and metrics ask: lists, stories, counts."""
