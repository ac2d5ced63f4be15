"""The page of a server, and the corrections that are sent from it."""

from linnaea.delivery.serving.page.corrections import Corrections
from linnaea.delivery.serving.page.recent import Recent
from linnaea.delivery.serving.page.routes import page_router

__all__ = ["Corrections", "Recent", "page_router"]
