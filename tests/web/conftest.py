from tests.served import gateway

__all__ = ["gateway"]
