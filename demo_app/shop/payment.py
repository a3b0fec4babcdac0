"""The card payment: a stand-in for a provider's client; it asks the provider where there is one."""

from __future__ import annotations

from collections.abc import Callable


class CardDeclinedError(Exception):
    """The bank said no; the text is what it says."""


def charge(card: str, cents: int, provider: Callable[[str], bool] | None = None) -> str:
    """Take `cents` from a card and return the receipt's number; the provider has to accept that.

    Raises:
        CardDeclinedError: test cards that end in 0002, and sums over 400 euros.
    """
    digits = card.replace(" ", "")
    if digits.endswith("0002"):
        raise CardDeclinedError("insufficient funds")
    if cents > 40_000:
        raise CardDeclinedError("over the limit of this card")
    receipt = f"R-{digits[-4:]}-{cents}"
    if provider is not None and not provider(receipt):
        raise CardDeclinedError("the provider does not accept it")
    return receipt
