"""The card payment: a stand-in for a provider's client, with its habits but no network."""

from __future__ import annotations


class CardDeclinedError(Exception):
    """The bank said no; the text is what it says."""


def charge(card: str, cents: int) -> str:
    """Take `cents` from a card and return the receipt's number.

    Raises:
        CardDeclinedError: test cards that end in 0002, and sums over 400 euros.
    """
    digits = card.replace(" ", "")
    if digits.endswith("0002"):
        raise CardDeclinedError("insufficient funds")
    if cents > 40_000:
        raise CardDeclinedError("over the limit of this card")
    return f"R-{digits[-4:]}-{cents}"
