"""All SQL of the gateway: the one writer, the claims, and the queries of people."""
