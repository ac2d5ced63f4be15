"""The page of explanations: findings show the images that were explained."""

import numpy as np

from linnaea.delivery.explanations import ExplainedImage, Sheet
from linnaea.finding import Finding


def test_the_images_of_a_finding_are_shown_wherever_their_files_lie():
    photo = np.full((32, 32, 1), 200, dtype=np.uint8)
    names = [f"bees/{number}.jpg" for number in range(10)]
    explained = [ExplainedImage(name, photo, "ants", 0.9, "ok", "bees", "ants", ()) for name in names]
    finding = Finding("explanation_mistakes", "Mistakes look elsewhere.", count=10, images=names)
    page = Sheet("photos", explained, (), {}, findings=[finding]).page()
    assert "image not found" not in page
    assert page.count('alt="Image bees/') == 8
    assert "8 of 10 images are shown." in page
