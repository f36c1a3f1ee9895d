"""Uploads: ciphertext goes in by one door and comes out by an unguessable name, and nothing is kept in vain."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Join, Serve
from tests.people import HOUSE, Person, Server
from tests.seals import sealed
from tests.test_production import Production

MIB = 1 << 20
NAME = re.compile(r"[A-Za-z0-9_-]{32}")
MEMORY_GOAL_MIB = 20


def put(person: Person, content: bytes) -> requests.Response:
    """Upload bytes."""
    return person.ask("POST", "/api/upload", files={"file": ("sealed", content)})


def kept(person: Person, content: bytes) -> str:
    """Upload bytes that are taken; their fileUrl."""
    answer = put(person, content)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["fileUrl"])


def name_of(file_url: str) -> str:
    """The name at the end of a fileUrl."""
    return file_url.rpartition("/")[2]


def owned(person: Person) -> list[dict[str, Any]]:
    """What the database keeps of somebody's uploads."""
    return list(person.server.database()["uploads.files"].find({"metadata.owner": person.id}))


def spooled(server: Server) -> list[str]:
    """Files a server process holds open outside the database, as uploads are while they come in."""
    links = Path(f"/proc/{server._process.pid}/fd").iterdir()
    return [target for link in links if "deleted" in (target := os.readlink(link))]


def test_what_was_uploaded_is_fetched_as_it_was(mara: Person) -> None:
    content = os.urandom(2 * MIB + 17)
    sent = ("encrypted_plan.pdf.json", content, "application/json")
    answer = mara.ask("POST", "/api/upload", files={"file": sent})
    assert answer.json().keys() == {"fileUrl", "fileName", "mimeType"}
    assert answer.json()["fileName"] == "encrypted_plan.pdf.json"
    assert answer.json()["mimeType"] == "application/json"
    fetched = requests.get(answer.json()["fileUrl"], timeout=30)
    assert fetched.content == content
    assert fetched.headers["Content-Length"] == str(len(content))


def test_a_file_is_served_as_bytes_that_no_browser_renders(mara: Person) -> None:
    headers = requests.get(kept(mara, b"<script>alert(1)</script>"), timeout=30).headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "immutable" in headers["Cache-Control"]


def test_names_are_random_and_say_nothing_of_the_file(mara: Person) -> None:
    names = {name_of(kept(mara, b"the same bytes")) for _ in range(5)}
    assert len(names) == 5
    # 32 characters of base64url carry 192 bits; 128 are asked for.
    assert all(NAME.fullmatch(name) for name in names)


def test_the_address_is_the_public_one_where_there_is_one(serve: Serve) -> None:
    public = serve(PUBLIC_URL="https://chat.example")
    mara = Person(public)
    assert re.fullmatch(r"https://chat\.example/uploads/[A-Za-z0-9_-]{32}", kept(mara, b"sealed"))


def test_a_file_in_another_field_is_asked_for(mara: Person) -> None:
    answer = mara.ask("POST", "/api/upload", files={"attachment": ("sealed", b"bytes")})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"file": "Missing."}


def test_an_empty_file_is_refused(mara: Person) -> None:
    answer = put(mara, b"")
    assert answer.status_code == 400
    assert answer.json()["message"] == "The file is empty."
    assert owned(mara) == []


def test_nobody_uploads_without_a_login(server: Server) -> None:
    assert server.ask("POST", "/api/upload", files={"file": ("sealed", b"bytes")}).status_code == 401


@pytest.fixture(scope="module")
def narrow(serve: Serve) -> Server:
    """A Sotto that takes 2 MB a file and 5 MB a day."""
    return serve(MAX_UPLOAD_MB="2", UPLOAD_QUOTA_MB="5")


def test_a_file_that_is_too_large_is_refused_by_an_answer_and_not_a_cut_line(narrow: Server, join: Join) -> None:
    mara = join(narrow)
    answer = put(mara, os.urandom(7 * MIB))
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert "2 MB" in answer.json()["message"]
    assert owned(mara) == []


def test_the_largest_allowed_file_is_taken(narrow: Server, join: Join) -> None:
    assert put(join(narrow), os.urandom(2 * MIB)).status_code == 200


def test_who_used_up_the_day_is_told_when_to_come_back(narrow: Server, join: Join) -> None:
    mara, jonas = join(narrow), join(narrow)
    for _ in range(2):
        kept(mara, os.urandom(2 * MIB))
    answer = put(mara, os.urandom(2 * MIB))
    assert answer.status_code == 429
    assert answer.json()["code"] == "rate_limited"
    assert int(answer.headers["Retry-After"]) > 0
    assert put(jonas, os.urandom(2 * MIB)).status_code == 200, "another's day is another's"


def test_several_uploads_at_once_share_one_quota(narrow: Server, join: Join) -> None:
    mara = join(narrow)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: put(mara, os.urandom(2 * MIB)).status_code, range(6)))
    assert set(answers) <= {200, 429}
    assert sum(file["length"] for file in owned(mara)) <= 5 * MIB
    assert narrow.database()["uploads.pending"].count_documents({"owner": mara.id}) == 0


@pytest.fixture(scope="module")
def deployed(instance: Path) -> Iterator[Production]:
    """The same under gunicorn, which takes bodies of no given length."""
    running = Production(instance, MAX_UPLOAD_MB="2", UPLOAD_QUOTA_MB="5")
    yield running
    running.stop()


def chunked(content: bytes) -> Iterator[bytes]:
    """A form with one file, in pieces, as a client sends it that does not say how much comes."""
    yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="sealed"\r\n\r\n'
    yield content
    yield b"\r\n--edge--\r\n"


def test_an_upload_that_does_not_say_its_length_has_a_quota_all_the_same(deployed: Production) -> None:
    mara = Person(deployed)

    def send(_: int) -> int:
        form = {"Content-Type": "multipart/form-data; boundary=edge"}
        return mara.ask("POST", "/api/upload", data=chunked(os.urandom(2 * MIB)), headers=form).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert set(answers) <= {200, 429}
    assert 200 in answers
    assert sum(file["length"] for file in owned(mara)) <= 5 * MIB


def test_small_files_count_as_much_as_they_cost(narrow: Server, join: Join) -> None:
    mara = join(narrow)
    files = narrow.database()["uploads.files"]
    # As many as the day allows, but one.
    rows = [{"_id": f"{mara.id}-{number}", "length": 1, "uploadDate": datetime.now(UTC)} for number in range(79)]
    files.insert_many([row | {"metadata": {"owner": mara.id, "messages": []}} for row in rows])
    assert put(mara, b"one more").status_code == 200
    assert put(mara, b"one too many").status_code == 429


def test_yesterdays_files_leave_room_for_todays(narrow: Server, join: Join) -> None:
    mara = join(narrow)
    for _ in range(2):
        kept(mara, os.urandom(2 * MIB))
    yesterday = datetime.now(UTC) - timedelta(days=1, minutes=1)
    files = narrow.database()["uploads.files"]
    files.update_many({"metadata.owner": mara.id}, {"$set": {"uploadDate": yesterday}})
    assert put(mara, os.urandom(2 * MIB)).status_code == 200


def test_an_upload_that_breaks_off_leaves_nothing(narrow: Server, join: Join) -> None:
    mara = join(narrow)
    chunks = narrow.database()["uploads.chunks"]
    head = (
        f"POST /api/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {mara.token}\r\n"
        f"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: {2 * MIB}\r\n\r\n"
        '--edge\r\nContent-Disposition: form-data; name="file"; filename="sealed"\r\n\r\n'
    )
    host, port = narrow.origin.removeprefix("http://").split(":")
    before = chunks.count_documents({})
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head.encode() + os.urandom(MIB))
        line.shutdown(socket.SHUT_WR)
        # The end of the answer is the end of what the server does about it.
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert owned(mara) == []
    assert chunks.count_documents({}) == before
    assert spooled(narrow) == []


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1048570-1048589", 1048570, 1048590), ("bytes=-5", -5, None)],
)
def test_a_part_of_a_file_may_be_asked_for(mara: Person, asked: str, start: int, end: int | None) -> None:
    content = os.urandom(MIB + 100)
    answer = requests.get(kept(mara, content), headers={"Range": asked}, timeout=30)
    assert answer.status_code == 206
    assert answer.content == content[start:end]
    assert re.fullmatch(rf"bytes \d+-\d+/{len(content)}", answer.headers["Content-Range"])


def test_a_part_that_is_not_there_is_refused(mara: Person) -> None:
    assert requests.get(kept(mara, b"short"), headers={"Range": "bytes=100-"}, timeout=30).status_code == 416


@pytest.mark.parametrize("name", ["A" * 32, "A" * 31, "..%2f..%2fetc%2fpasswd", "%00" * 32, "$where"])
def test_a_name_that_nothing_has_is_not_found(server: Server, name: str) -> None:
    answer = server.ask("GET", f"/uploads/{name}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "file_url",
    ["https://evil.example/file", f"https://evil.example/uploads/{'A' * 32}", f"/uploads/{'A' * 32}", "/uploads/../x"],
)
def test_a_message_cannot_bring_a_file_that_is_not_here(mara: Person, jonas: Person, file_url: str) -> None:
    mara.know(jonas)
    payload = {"receiverId": jonas.id, "text": sealed(), "type": "file", "fileUrl": file_url}
    assert mara.line.refused("send_message", payload) == "validation"
    assert mara.messages(jonas) == []


def test_a_message_brings_its_file_to_the_receiver(mara: Person, jonas: Person) -> None:
    jonas.connect()
    file_url = kept(mara, b"sealed")
    assert mara.send(jonas, sealed(), type="file", fileUrl=file_url)["ok"]
    assert jonas.line.wait_for("receive_message")["fileUrl"] == file_url
    assert jonas.messages(mara)[0]["fileUrl"] == file_url


def sweep(server: Server) -> None:
    """Sweep now, as `flask sotto sweep` does."""
    command = [sys.executable, "-m", "flask", "sotto", "sweep"]
    environ = server.environ | {"MONGODB_URI": server.database_uri}
    subprocess.run(command, cwd=HOUSE, env=environ, check=True, capture_output=True, timeout=60)


@pytest.fixture
def aged(mara: Person) -> Iterator[Any]:
    """Make an upload two days old."""
    files = mara.server.database()["uploads.files"]

    def age(name: str) -> None:
        then = datetime.now(UTC) - timedelta(days=2)
        assert files.update_one({"_id": name}, {"$set": {"uploadDate": then}}).matched_count == 1

    return age


def test_a_file_no_message_brings_is_swept_after_a_day(mara: Person, jonas: Person, aged: Any) -> None:
    forgotten, sent, young = (name_of(kept(mara, word.encode())) for word in ("forgotten", "sent", "young"))
    assert mara.send(jonas, sealed(), type="file", fileUrl=f"/uploads/{sent}")["ok"]
    aged(forgotten)
    aged(sent)
    sweep(mara.server)
    assert mara.ask("GET", f"/uploads/{forgotten}").status_code == 404
    assert mara.server.database()["uploads.chunks"].count_documents({"files_id": forgotten}) == 0
    assert mara.ask("GET", f"/uploads/{sent}").content == b"sent"
    assert mara.ask("GET", f"/uploads/{young}").content == b"young"


def test_a_message_that_is_refused_does_not_count_as_one_that_brings_a_file(
    mara: Person, jonas: Person, join: Join
) -> None:
    name = name_of(kept(mara, b"sent"))
    sent = mara.send(jonas, sealed(), type="file", fileUrl=f"/uploads/{name}")
    stranger = join()
    message = {"receiverId": stranger.id, "text": sealed(), "type": "file", "fileUrl": f"/uploads/{name}"}
    assert jonas.line.refused("send_message", message) == "forbidden"
    (file,) = owned(mara)
    assert file["metadata"]["messages"] == [sent["id"]]


def test_what_a_crash_left_of_an_upload_is_swept_when_it_is_old(server: Server) -> None:
    database = server.database()
    chunks, pending = database["uploads.chunks"], database["uploads.pending"]
    for name, age in (("cut-short", timedelta(days=2)), ("running", timedelta(0))):
        chunks.insert_one({"files_id": name, "n": 0, "data": b"1"})
        pending.insert_one({"_id": name, "owner": "0" * 12, "length": 1, "began": datetime.now(UTC) - age})
    sweep(server)
    assert chunks.count_documents({"files_id": "cut-short"}) == 0
    assert chunks.count_documents({"files_id": "running"}) == 1
    assert [left["_id"] for left in pending.find({"owner": "0" * 12})] == ["running"]


def test_a_file_whose_message_is_being_sent_is_not_swept(mara: Person, aged: Any) -> None:
    name = name_of(kept(mara, b"sealed"))
    aged(name)
    # As the message edge does, before the message is in the database.
    files = mara.server.database()["uploads.files"]
    note = {"$push": {"metadata.messages": "on its way"}, "$set": {"metadata.referred": datetime.now(UTC)}}
    files.update_one({"_id": name}, note)
    sweep(mara.server)
    assert mara.ask("GET", f"/uploads/{name}").content == b"sealed"


def test_a_chunk_is_found_by_an_index(server: Server) -> None:
    indexes = server.database()["uploads.chunks"].index_information().values()
    assert [("files_id", 1), ("n", 1)] in [list(map(tuple, index["key"])) for index in indexes]


def memory_mib(server: Server, name: str) -> float:
    """A line of the server's /proc/<pid>/status: VmRSS is its memory now, VmHWM the most it had."""
    status = Path(f"/proc/{server._process.pid}/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


def test_a_large_file_passes_without_filling_the_servers_memory(serve: Serve) -> None:
    mara = Person(serve(MAX_UPLOAD_MB="51"))
    kept(mara, b"what the first upload loads is not counted")
    # The most it had so far was argon2's, at the login: count from now.
    Path(f"/proc/{mara.server._process.pid}/clear_refs").write_text("5", encoding="ascii")
    before = memory_mib(mara.server, "VmRSS")
    content = os.urandom(50 * MIB)
    assert requests.get(kept(mara, content), timeout=60).content == content
    assert memory_mib(mara.server, "VmHWM") - before < MEMORY_GOAL_MIB
