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
    receipt = f"R-{digits[-4:]}-{cents}"
    is_accepted = provider is None or provider(receipt)  # it also brings what the bank says
    if digits.endswith("0002"):
        raise CardDeclinedError("insufficient funds")
    if cents > 40_000:
        raise CardDeclinedError("over the limit of this card")
    if not is_accepted:
        raise CardDeclinedError("the provider does not accept it")
    return receipt
