"""Balance: what keeps a training from neglecting the classes with few images.

A balancer acts on what is drawn, on weights, on the loss, on features or on images, and each rung says which of
these it has. Add one by registering it in `BALANCERS`.
"""

from linnaea.learning.balance.balance import Balance
from linnaea.learning.balance.contract import ACTS, BALANCERS, Balancer

__all__ = ["ACTS", "BALANCERS", "Balance", "Balancer"]
