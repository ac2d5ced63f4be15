"""What axe-core says against a page in a browser."""

import pytest


def violations(page):
    """Rules of WCAG 2.2 A and AA, and of good practice, that the page breaks: the rule and the elements."""
    checker = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    found = checker.Axe().run(page).response
    return {rule["id"]: [node["target"] for node in rule["nodes"]] for rule in found["violations"]}
