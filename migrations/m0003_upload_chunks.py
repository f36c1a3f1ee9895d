"""The indexes uploads are read and swept by: a chunk by its file and number (as GridFS prescribes), what is pending."""

from pymongo.database import Database

name = "m0003_upload_chunks"
dependencies = ["m0002_uploads"]


def upgrade(db: Database) -> None:
    """Make the indexes."""
    db["uploads.chunks"].create_index([("files_id", 1), ("n", 1)], unique=True, name="place")
    db["uploads.pending"].create_index([("owner", 1), ("began", 1)], name="owner")


def downgrade(db: Database) -> None:
    """Drop them."""
    db["uploads.chunks"].drop_index("place")
    db["uploads.pending"].drop_index("owner")
