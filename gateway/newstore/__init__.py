"""NewStore's JSON to our words and back, and the client of its APIs."""
