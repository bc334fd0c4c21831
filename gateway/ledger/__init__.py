"""All SQL of the gateway, in four parts: `write`, `queue`, `read`, and `database` for connections and schema."""
