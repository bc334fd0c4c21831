"""Dashboards, rules and runbooks; `python -m grafana.dashboards` writes the dashboards' JSON."""
