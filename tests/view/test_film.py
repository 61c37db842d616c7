"""Film strips: what plays stands still for those who asked their system for less motion."""

import re

import torch

from latentlab.view.film import film


def test_a_loop_obeys_reduced_motion():
    html = film(torch.zeros(1, 3, 4, 8, 8), key="pair1-left")
    assert "@media (prefers-reduced-motion: reduce) { .pair1-left { animation: none !important } }" in html
    (picture,) = re.findall(r"<div [^>]*>", html)
    assert 'class="pair1-left"' in picture
    assert "animation: pair1-left " in picture
