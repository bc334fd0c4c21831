"""Both ends of the road, as real HTTP servers: a NewStore, warehouses, and the orders that travel between them.

They are written from the fact sheets alone and import nothing of the gateway, so they cannot agree with its mistakes.
Each keeps its own record of what happened (`GET /simulator/record`), and the two records decide whether a run was
right. Run one to try the gateway by hand, or several with faults to see what it survives.
"""
