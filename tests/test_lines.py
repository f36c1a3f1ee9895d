"""WebSocket lines under gunicorn: they belong to the hub, not to greenlets, and nobody notices."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import socketio
import websocket

from deploy import handshake, lines
from tests.conftest import BUSY
from tests.line import Line
from tests.people import Person
from tests.test_hostile_events import FRAMES, UNREADABLE
from tests.test_production import Production
from tests.waiting import PATIENCE_S, wait_until

KIB = 1024
# More than the kernel's buffers and UNSENT_BYTES together, when the reader's buffer is small.
MANY, LONG = 60, 100 * KIB
NARROW = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB),)


@pytest.fixture(scope="module")
def production(instance: Path) -> Iterator[Production]:
    """One worker."""
    running = Production(instance, **BUSY)
    yield running
    running.stop()


@pytest.fixture
def pair(production: Production) -> Iterator[tuple[Person, Person]]:
    """Two who have exchanged keys."""
    mara, jonas = Person(production), Person(production)
    mara.befriend(jonas)
    yield mara, jonas
    mara.leave()
    jonas.leave()


def is_online(asker: Person, person: Person) -> bool:
    """What the server says."""
    online: bool = asker.ask("GET", f"/api/chat/user/{person.id}").json()["isOnline"]
    return online


def envelope(size: int) -> str:
    """A ciphertext of `size` characters."""
    head, tail = '{"iv":[0,0,0,0,0,0,0,0,0,0,0,0],"content":[', "]}"
    return head + "255," * ((size - len(head) - len(tail)) // 4) + "255" + tail


def test_events_are_answered_in_the_order_they_came(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    line = mara.connect()
    slow = {"receiverId": jonas.id, "text": envelope(500), "type": "text"}
    for _ in range(10):  # one waits for the disk, the others do not, and are more than may wait for their turn
        line.emit("send_message", slow | {"clientId": str(uuid.uuid4())})
        for _ in range(lines.INBOX):
            line.emit("typing", {"receiverId": jonas.id, "isTyping": True})
    line.settle()
    answered = [int(frame[2:].split("[")[0]) for frame in line.frames if frame.startswith("43")]
    assert answered == sorted(answered)
    assert len(answered) == 10 * (lines.INBOX + 1) + 1


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_an_event_may_come_in_fragments_and_pieces(pair: tuple[Person, Person], size: int) -> None:
    mara, jonas = pair
    line = mara.connect()
    event = f'421["typing",{{"receiverId":"{jonas.id}","isTyping":true,"more":"{"ü" * 600}"}}]'.encode()
    half = event.index("ü".encode()) + 601  # in the middle of a character
    data = websocket.ABNF.create_frame(event[:half], websocket.ABNF.OPCODE_TEXT, fin=0).format()
    data += websocket.ABNF.create_frame(b"", websocket.ABNF.OPCODE_PING).format()
    data += websocket.ABNF.create_frame(event[half:], websocket.ABNF.OPCODE_CONT).format()
    for at in range(0, len(data), size):
        line._socket.sock.sendall(data[at : at + size])
    assert line.answer(1)["ok"]


def raw(person: Person) -> websocket.WebSocket:
    """A connected socket that nobody reads."""
    address = person.server.origin.replace("http", "ws", 1)
    open_socket = websocket.create_connection(
        f"{address}/socket.io/?EIO=4&transport=websocket", timeout=PATIENCE_S, sockopt=NARROW
    )
    open_socket.recv()
    open_socket.send(f'40{{"token":"{person.token}"}}')
    while not str(open_socket.recv()).startswith("40"):
        pass
    return open_socket


def test_who_asks_to_be_let_in_twice_on_one_line_is_told_to_open_another(pair: tuple[Person, Person]) -> None:
    line = raw(pair[0])
    line.send("41")
    line.send(f'40{{"token":"{pair[0].token}"}}')
    frame = ""
    while not frame.startswith("44"):
        frame = str(line.recv())
    assert json.loads(frame[2:])["message"] == "Open another line to come again."
    line.close()


def test_a_ping_is_answered_and_so_is_a_close(pair: tuple[Person, Person]) -> None:
    open_socket = raw(pair[0])
    open_socket.ping("here?")
    assert open_socket.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"here?")
    open_socket.send_close(1000)
    assert open_socket.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_CLOSE, (1000).to_bytes(2))


ENDS: dict[str, Callable[[websocket.WebSocket], Any]] = {
    "close": lambda line: line.send_close(),
    "disconnect": lambda line: line.send("41"),
    "end of the transport": lambda line: line.send("1"),
    "end of the stream": lambda line: line.sock.shutdown(socket.SHUT_WR),
    "reset": lambda line: line.shutdown(),
    "no mask": lambda line: line.sock.sendall(b"\x81\x012"),
    "reserved bits": lambda line: line.sock.sendall(b"\xf1\x80mask"),
    "not UTF-8": lambda line: line.sock.sendall(b"\x81\x81\x00\x00\x00\x00\xff"),
    "too long": lambda line: line.sock.sendall(b"\x81\xff" + (1 << 40).to_bytes(8) + b"mask"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_however_a_line_ends_its_person_is_gone_at_once(
    pair: tuple[Person, Person], end: Callable[[websocket.WebSocket], Any]
) -> None:
    mara, jonas = pair
    mara.leave()
    wait_until(lambda: not is_online(jonas, mara), "mara to be gone")
    open_socket = raw(mara)
    assert is_online(jonas, mara)
    end(open_socket)
    wait_until(lambda: not is_online(jonas, mara), "mara to be gone again")


def test_what_was_sent_before_the_end_is_still_taken(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    line = mara.connect()
    for _ in range(10):
        line.emit("send_message", {"receiverId": jonas.id, "text": envelope(500), "type": "text"})
    line.close()
    jonas.line.wait_for("receive_message", count=10)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: repr(frame)[:40])
def test_a_frame_that_cannot_be_read_is_answered_so(pair: tuple[Person, Person], frame: str | bytes) -> None:
    line = pair[0].connect()
    line.send_frame(frame)
    line.settle()
    assert line.all("error") == [UNREADABLE]


def send_many(mara: Person, jonas: Person) -> list[str]:
    """MANY long messages; their ids, acknowledged."""
    line = mara.connect()
    text = envelope(LONG)
    numbers = [line.emit("send_message", {"receiverId": jonas.id, "text": text, "type": "text"}) for _ in range(MANY)]
    return [line.answer(number)["id"] for number in numbers]


def received(open_socket: websocket.WebSocket) -> Iterator[str]:
    """The ids of the messages that come."""
    while True:
        frame = str(open_socket.recv())
        if frame.startswith('42["receive_message"'):
            yield frame.split('"_id":"')[1].split('"')[0]


def test_who_reads_slowly_gets_everything_and_delays_nobody(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    jonas.leave()
    slow = raw(jonas)
    sent = send_many(mara, jonas)
    mara.line.settle()
    came = received(slow)
    assert [next(came) for _ in sent] == sent


def test_who_asks_for_much_is_answered_as_fast_as_they_read(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    jonas.leave()
    sent = send_many(mara, jonas)
    slow = raw(jonas)
    came: list[str] = []
    more = True
    while more:
        slow.send(f'421["user_connected",{{"customId":"{jonas.id}","sync":{{"{mara.id}":{len(came)}}}}}]')
        slow.ping("meanwhile")  # is answered while the events before it are still being handled
        mara.line.settle()
        while not (frame := str(slow.recv())).startswith("431"):
            came += re.findall(r'^42\["receive_message".*"_id":"([^"]+)"', frame)
        more = "more" in json.loads(frame[3:])[0]
    assert came == sent


def test_who_asks_for_much_and_does_not_read_it_is_hung_up_on(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    jonas.leave()
    send_many(mara, jonas)
    deaf = raw(jonas)
    deaf.send(f'421["user_connected",{{"customId":"{jonas.id}","sync":{{"{mara.id}":0}}}}]')
    assert is_online(mara, jonas)
    # Sooner than a ping that is not answered would end it.
    wait_until(lambda: not is_online(mara, jonas), "the end of the line", timeout=lines.STALL_S + 15)
    deaf.close()


def test_a_line_may_begin_with_polling(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    client = socketio.Client()
    client.connect(mara.server.origin, auth={"token": mara.token}, transports=["polling", "websocket"])
    try:
        assert client.transport() == "websocket"
        assert client.call("typing", {"receiverId": jonas.id, "isTyping": True})["ok"]
        jonas.line.wait_for("display_typing", lambda news: news["userId"] == mara.id)
    finally:
        client.disconnect()


def test_an_upgrade_that_goes_wrong_leaves_the_polling_line_alone(production: Production) -> None:
    address = f"{production.origin}/socket.io/?EIO=4&transport=polling"
    opened = requests.get(address, timeout=PATIENCE_S).text
    sid = opened.split('"sid":"')[1].split('"')[0]
    upgrade = websocket.create_connection(
        f"{production.origin.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket&sid={sid}",
        timeout=PATIENCE_S,
    )
    upgrade.send("2not the probe")
    assert upgrade.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_CLOSE
    person = Person(production)
    token = f'40{{"token":"{person.token}"}}'
    assert requests.post(f"{address}&sid={sid}", data=token, timeout=PATIENCE_S).text == "OK"
    assert '"sid"' in requests.get(f"{address}&sid={sid}", timeout=PATIENCE_S).text


def test_a_logout_ends_the_line_and_says_why(pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    line = mara.line
    assert mara.ask("POST", "/api/auth/logout").status_code == 204
    line.wait_for("logged_out")
    line.wait_for_end()
    wait_until(lambda: not is_online(jonas, mara), "mara to be gone")


def memory_mib(production: Production) -> float:
    """The memory of all of a unit's processes."""
    arbiter = production._process.pid
    workers = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
    statuses = (Path(f"/proc/{process}/status").read_text() for process in workers)
    return sum(int(status.split("VmRSS:")[1].split()[0]) for status in statuses) / KIB


def test_who_pings_and_does_not_read_fills_no_memory(production: Production, pair: tuple[Person, Person]) -> None:
    mara, _ = pair
    url = f"{production.origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    before = memory_mib(production)
    deaf: list[websocket.WebSocket] = []
    while len(deaf) < 4:
        deaf.append(websocket.create_connection(url, sockopt=NARROW, timeout=2))
        with contextlib.suppress(websocket.WebSocketTimeoutException):  # so full that not even acknowledgements pass
            for _ in range(25_000):
                deaf[-1].ping(b"x" * 125)
    assert mara.line.refused("no such event") == "bad_request", "others are served"
    assert memory_mib(production) - before < 5
    for line in deaf:
        line.close(timeout=0)


def test_who_tells_no_name_may_not_stay(production: Production) -> None:
    for _ in range(8):  # whose end nobody will ever fetch
        production.ask("GET", "/socket.io/?EIO=4&transport=polling")
    url = f"{production.origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    nameless = websocket.create_connection(url, timeout=2 * PATIENCE_S)
    nameless.recv()
    frame: Any = None
    while frame not in ("", "1"):
        frame = nameless.recv()
        if frame == "2":
            nameless.send("3")
    nameless.close()


def test_who_polls_and_never_fetches_is_given_up(production: Production, pair: tuple[Person, Person]) -> None:
    mara, jonas = pair
    url = f"{production.origin}/socket.io/?EIO=4&transport=polling"
    session = requests.get(url, timeout=PATIENCE_S).text
    sid = json.loads(session[1:])["sid"]
    assert requests.post(f"{url}&sid={sid}", data=f"40{json.dumps({'token': jonas.token})}", timeout=PATIENCE_S).ok
    assert mara.line.ask("call_user", {"userToCall": jonas.id, "signalData": "offer"})["delivered"]
    large = "x" * (150 * KIB)
    for _ in range(130):
        assert mara.line.ask("ice_candidate", {"target": jonas.id, "candidate": large})["ok"]
    assert requests.post(f"{url}&sid={sid}", data="3", timeout=PATIENCE_S).status_code == 400


def test_who_is_refused_all_the_time_is_hung_up_on(pair: tuple[Person, Person]) -> None:
    mara, _ = pair
    rude = mara.connect()
    try:
        for _ in range(2000):
            rude.emit("no such event")
    except (OSError, websocket.WebSocketException):
        pass  # it may be over before all is said
    rude.wait_for_end()


def test_no_more_lines_than_there_may_be(instance: Path) -> None:
    small = Production(instance, **BUSY, WORKER_CONNECTIONS="3")
    try:
        person = Person(small)
        open_lines = [person.connect() for _ in range(3)]
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
            person.connect()
        assert refusal.value.status_code == 503
        open_lines[0].close()
        wait_until(lambda: _connects(person), "room for one more")
    finally:
        small.stop()


def _connects(person: Person) -> Line | None:
    try:
        return person.connect()
    except websocket.WebSocketBadStatusException:
        return None


def test_a_worker_that_stops_ends_its_lines_in_order(instance: Path) -> None:
    production = Production(instance, **BUSY)
    line = Person(production).connect()
    production.stop()
    line.wait_for_end()
    assert line.frames[-1] == "1", "the end of the transport, after which clients come again"


def test_libraries_that_have_changed_are_left_alone() -> None:
    assert handshake.install(SimpleNamespace(eio=SimpleNamespace()), 1) is False
