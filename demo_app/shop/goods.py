"""The goods: the rows that a new shop's database is filled with. Data only."""

from __future__ import annotations

from typing import NamedTuple

CATEGORIES = {
    "black": "Black tea",
    "green": "Green tea",
    "oolong": "Oolong",
    "herbal": "Herbal",
    "teaware": "Teaware",
    "gift-sets": "Gift sets",
}


class Goods(NamedTuple):
    """One product: price in cents; `organic` shows the certificate on its page."""

    name: str
    category: str
    price: int
    origin: str
    text: str
    organic: bool = False


GOODS = (
    Goods("Assam Mangalam", "black", 1190, "India", "Malty, dark amber, made for milk."),
    Goods("Darjeeling First Flush", "black", 1890, "India", "Picked in March, light as muscat."),
    Goods("Ceylon Uva", "black", 990, "Sri Lanka", "Bright and brisk from the high east."),
    Goods("Keemun Mao Feng", "black", 1490, "China", "Cocoa, orchid, a little smoke.", True),
    Goods("Lapsang Souchong", "black", 1290, "China", "Dried over pine wood fires."),
    Goods("Earl Grey Imperial", "black", 1090, "Blend", "Darjeeling with Calabrian bergamot."),
    Goods("English Breakfast No. 7", "black", 890, "Blend", "Assam, Kenya, and a full kettle."),
    Goods("Sencha Kagoshima", "green", 1390, "Japan", "Steamed, grassy, quietly sweet.", True),
    Goods("Gyokuro Hikari", "green", 2990, "Japan", "Three weeks in the shade before picking."),
    Goods("Genmaicha", "green", 790, "Japan", "Green leaves and toasted rice."),
    Goods("Dragon Well", "green", 1990, "China", "Pan-fired by hand near Hangzhou."),
    Goods("Gunpowder Temple", "green", 690, "China", "Rolled pearls, bold and smoky."),
    Goods("Matcha Uji Reserve", "green", 3490, "Japan", "Stone-ground, whisk until it foams."),
    Goods("Jasmine Pearls", "green", 1690, "China", "Scented over seven nights."),
    Goods("Tie Guan Yin", "oolong", 1790, "China", "Lilac and butter, many infusions."),
    Goods("Da Hong Pao", "oolong", 2490, "China", "Roasted, mineral, from the Wuyi cliffs."),
    Goods("Oriental Beauty", "oolong", 2690, "Taiwan", "Honey, thanks to a small leafhopper."),
    Goods("Milk Oolong", "oolong", 1590, "Taiwan", "Creamy without any cream.", True),
    Goods("Dong Ding", "oolong", 1890, "Taiwan", "Rolled, nutty, from Frozen Peak."),
    Goods("Chamomile Blossoms", "herbal", 590, "Egypt", "Whole flowers, no dust.", True),
    Goods("Mountain Peppermint", "herbal", 490, "Germany", "Cut in July, dried in the shade."),
    Goods("Rooibos Vanilla", "herbal", 690, "South Africa", "Red bush with Bourbon vanilla."),
    Goods("Lemon Verbena", "herbal", 790, "France", "A garden after rain."),
    Goods("Winter Orchard", "herbal", 850, "Blend", "Apple, cinnamon, a clove or two."),
    Goods("Cast Iron Pot 0.8 l", "teaware", 6900, "Japan", "Keeps three cups hot for an hour."),
    Goods("Glass Pot with Strainer", "teaware", 3490, "Czechia", "Watch the leaves open."),
    Goods("Gaiwan, white", "teaware", 2290, "China", "A lid, a cup, a saucer: enough."),
    Goods("Bamboo Whisk", "teaware", 1890, "Japan", "A hundred prongs for one bowl."),
    Goods("Tea Scale", "teaware", 2590, "Germany", "To the tenth of a gram."),
    Goods("Five Harvests", "gift-sets", 4900, "Blend", "Five tins, one for each season and one."),
    Goods("Matcha Starter Box", "gift-sets", 5900, "Japan", "Tea, bowl, whisk and a scoop."),
    Goods("Quiet Evening", "gift-sets", 2900, "Blend", "Three herbal tins and a candle."),
)

VOUCHERS = {"TEATIME": "seasonal", "WELCOME5": "fixed"}
