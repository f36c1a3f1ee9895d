"""The index the daily upload quota is read by."""

from pymongo.database import Database

name = "m0002_uploads"
dependencies = ["m0001_indexes"]


def upgrade(db: Database) -> None:
    """Make the index of an account's uploads by time."""
    db["uploads.files"].create_index([("metadata.owner", 1), ("uploadDate", 1)], name="owner")


def downgrade(db: Database) -> None:
    """Drop it."""
    db["uploads.files"].drop_index("owner")
