"""The shop: an ordinary app whose flaws are the ones that the demo needs."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from demo_app.shop import create_app, database
from demo_app.shop.pricing import PricingError

GIFT_SET = 30
TEA = 1


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("shop") / "shop.db"
    database.ensure(file)
    return file


@pytest.fixture
def visitor(shop_file: Path) -> FlaskClient:
    app = create_app(shop_file)
    app.testing = True  # exceptions come through
    return app.test_client()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/categories/oolong",
        "/products/4",
        "/pictures/4.svg",
        "/search?q=japan",
        "/cart",
        "/account/sign-in",
        "/reports/sales",
    ],
)
def test_its_pages_answer_and_load_nothing_from_elsewhere(visitor: FlaskClient, path: str) -> None:
    """No page names another host, the drawings' namespace aside."""
    answer = visitor.get(path)
    assert answer.status_code == 200
    urls = set(re.findall(r"https?://[^\s\"'<>]+", answer.text))
    assert urls <= {"http://www.w3.org/2000/svg"}


def test_all_links_of_the_front_page_work_but_the_stale_one(visitor: FlaskClient) -> None:
    """The footer's delivery times are gone."""
    links = set(re.findall(r"(?:href|src)=\"(/[^\"]*)\"", visitor.get("/").text))
    answers = {link: visitor.get(link).status_code for link in links - {"/_metrics/"}}
    assert {link for link, status in answers.items() if status == 404} == {"/help/delivery-times"}
    assert set(answers.values()) == {200, 302, 404}


def test_an_organic_product_shows_a_picture_that_is_missing(visitor: FlaskClient) -> None:
    """Its certificate."""
    (badge,) = re.findall(r"src=\"(/static/badges/[^\"]*)\"", visitor.get("/products/4").text)
    assert visitor.get(badge).status_code == 404


def check_out(visitor: FlaskClient, product: int, **form: str) -> int:
    visitor.post("/cart/add", data={"product": product})
    form = {"country": "DE", "card": "4242 4242 4242 4242", **form}
    return visitor.post("/checkout", data=form, follow_redirects=True).status_code


def test_tea_can_be_bought_with_a_voucher(visitor: FlaskClient) -> None:
    """And the cart is empty afterwards."""
    assert check_out(visitor, TEA, voucher="teatime") == 200
    assert "It is empty" in visitor.get("/cart").text


def test_a_declined_card_is_said(visitor: FlaskClient) -> None:
    """As payment required, not as a failure."""
    assert check_out(visitor, TEA, card="4000 0000 0000 0002") == 402


def test_a_gift_set_without_voucher_can_be_bought(visitor: FlaskClient) -> None:
    """The flaw shows only with some data."""
    assert check_out(visitor, GIFT_SET) == 200


def test_a_gift_set_with_the_seasons_voucher_breaks(visitor: FlaskClient) -> None:
    """A chained exception out of nested functions."""
    with pytest.raises(PricingError) as caught:
        check_out(visitor, GIFT_SET, voucher="TEATIME")
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_page_number_that_is_none_breaks(visitor: FlaskClient) -> None:
    """As crawlers send it."""
    with pytest.raises(ValueError, match="last"):
        visitor.get("/search?q=tea&page=last")


def test_the_csv_is_streamed_whole(visitor: FlaskClient, shop_file: Path) -> None:
    """In several chunks; one row a line sold, and one of names."""
    answer = visitor.get("/reports/sales.csv", buffered=False)
    chunks = list(answer.response)
    with closing(database.connect(shop_file)) as opened:
        (sold,) = opened.execute("SELECT count(*) FROM line").fetchone()
    assert len(chunks) > 3
    assert (
        b"".join(chunk.encode() if isinstance(chunk, str) else chunk for chunk in chunks).count(
            b"\n"
        )
        == sold + 1
    )


def test_the_account_page_sends_strangers_to_the_form(visitor: FlaskClient) -> None:
    """Until they have registered."""
    assert visitor.get("/account/").status_code == 302
    assert visitor.post("/account/register", data={"email": "a@example.org"}).status_code == 303
    assert "a@example.org" in visitor.get("/account/").text


def test_workers_that_start_together_share_one_shop(tmp_path: Path) -> None:
    """Whoever comes second takes what is there."""
    file = tmp_path / "data" / "shop.db"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(database.ensure, [file] * 4))
    assert len({database.secret_key(file) for _ in range(4)}) == 1
    assert {entry.name for entry in file.parent.iterdir()} <= {
        "shop.db",
        "shop.db-wal",
        "shop.db-shm",
    }
