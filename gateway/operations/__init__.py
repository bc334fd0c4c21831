"""The API for people and programs: `/v1`, health, metrics, and the document that describes it."""
