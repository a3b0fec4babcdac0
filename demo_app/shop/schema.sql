CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE category (slug TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE product (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL REFERENCES category (slug),
    price INTEGER NOT NULL,          -- euro cents
    origin TEXT NOT NULL,
    text TEXT NOT NULL,
    organic INTEGER NOT NULL
);
CREATE TABLE voucher (code TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE user (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, since TEXT NOT NULL);
CREATE TABLE purchase (
    id INTEGER PRIMARY KEY,
    day TEXT NOT NULL,               -- 2026-11-23
    country TEXT NOT NULL,
    total INTEGER NOT NULL           -- euro cents
);
CREATE TABLE line (
    id INTEGER PRIMARY KEY,
    purchase INTEGER NOT NULL REFERENCES purchase (id),
    product INTEGER NOT NULL REFERENCES product (id),
    quantity INTEGER NOT NULL,
    price INTEGER NOT NULL           -- euro cents for one, when it was sold
);
