"""What the other modules here judge is all there is to judge."""

from __future__ import annotations

from tests.interop.kinds import KINDS
from tests.interop.world import World

#: Made by the ceremonies, not by `homeca sign`; judged as the worlds' issuers.
OF_CEREMONIES = {"root-ca", "intermediate-ca"}


def test_a_certificate_of_every_profile_is_judged(constrained: World) -> None:
    listed = constrained.homeca.json("profile", "list")["profiles"]
    assert {one["name"] for one in listed} == OF_CEREMONIES | {kind.profile for kind in KINDS}
