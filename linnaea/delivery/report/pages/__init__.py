"""The pages of a report, one function and one template each, in their order.

A page maps the `Material` of a run to its content, or to the reason why there is none.
"""

from linnaea.delivery.report.pages.contract import PAGES, Material, Page

__all__ = ["PAGES", "Material", "Page"]
