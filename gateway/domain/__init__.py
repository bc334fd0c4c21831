"""What happens to a fulfillment request: pure decisions, no I/O, no clock, no third-party import."""
