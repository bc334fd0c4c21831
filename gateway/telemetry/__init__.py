"""Every metric, log event and span, declared once."""
