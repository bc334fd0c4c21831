"""The dashboard against a real gateway with the simulators' traffic, with and without a browser."""
