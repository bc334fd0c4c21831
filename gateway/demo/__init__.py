"""The whole road on one machine, over real HTTP: a gateway between a simulated NewStore and four warehouses.

It knows the gateway from outside alone: its settings file, its two listeners, its end.
"""
