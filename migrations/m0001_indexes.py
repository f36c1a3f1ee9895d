"""The indexes Sotto reads by; few on messages, because each one costs a third of the write speed."""

from pymongo.database import Database

name = "m0001_indexes"
dependencies: list[str] = []

INDEXES = {
    "users": [({"username_key": 1}, {"unique": True, "name": "username"})],
    "invites": [({"expires_at": 1}, {"expireAfterSeconds": 0, "name": "expiry"})],
    "revoked_tokens": [({"expires_at": 1}, {"expireAfterSeconds": 0, "name": "expiry"})],
    "conversations": [({"members": 1}, {"name": "members"})],
    "key_requests": [
        ({"asker": 1}, {"name": "asker"}),
        ({"target": 1}, {"name": "target"}),
        ({"created_at": 1}, {"expireAfterSeconds": 7 * 24 * 3600, "name": "expiry"}),
    ],
    "messages": [({"conversation": 1, "seq": 1}, {"unique": True, "name": "place"})],
}


def upgrade(db: Database) -> None:
    """Make every index; making one that exists changes nothing."""
    for collection, indexes in INDEXES.items():
        for keys, options in indexes:
            db[collection].create_index(list(keys.items()), **options)


def downgrade(db: Database) -> None:
    """Drop what `upgrade` made."""
    for collection, indexes in INDEXES.items():
        for _, options in indexes:
            db[collection].drop_index(options["name"])
