"""WebSocket lines without a greenlet, a queue or a thread of their own, on eventlet's hub.

Engine.IO gives each WebSocket a greenlet that reads, one that writes and one that sleeps until the next ping, each with
a stack of its own. Here the hub calls a line when there is something to read, a greenlet lives only as long as events
are handled, and what is sent goes straight to the socket. One line's events are still taken one after the other, in the
order they came. How a connection becomes a line: deploy/handshake.py.
"""

from __future__ import annotations

import time
from typing import Any

import engineio.packet
from engineio.exceptions import SocketIsClosedError, UnknownPacketError
from eventlet import greenthread, patcher
from eventlet.hubs import get_hub
from eventlet.hubs.hub import READ, WRITE
from greenlet import getcurrent, greenlet

from deploy.websocket import BINARY, FAILED, NORMAL, PING, PONG, TEXT, Message, Reader, closing, frame

native_socket = patcher.original("socket")  # one that knows nothing of greenlets

CHUNK_BYTES = 16 * 1024
# Messages of one line that may wait for their turn before it is read no further, and their bytes.
INBOX = 100
INBOX_BYTES = 2 << 20
# How long the events of one line are handled before others have a turn.
TURN_S = 0.005
# Beyond this, whoever is being answered waits until they have read; far beyond it, the line is cut.
UNSENT_BYTES = 1 << 20
MAX_UNSENT_BYTES = 8 << 20
# Who is waited for and reads less than this in this time, is waited for no longer.
STALL_S = 20.0
STALL_BYTES = 16 * 1024
# How long a line that the server closes may take to send what is left and to be closed by its other side.
LINGER_S = 5.0
LOOK_S = 0.05

PONG_PACKET = str(engineio.packet.PONG)
PROBE = f"{engineio.packet.PING}probe"
PROBE_ANSWER = f"{engineio.packet.PONG}probe"
UPGRADE = str(engineio.packet.UPGRADE)

Socket = Any  # engineio.socket.Socket
open_lines: set[Line] = set()


class Line:
    """One WebSocket of an Engine.IO socket, whose queue it takes the place of."""

    __slots__ = (
        *("_closing", "_engine", "_hub", "_inbox", "_inbox_bytes", "_reader", "_reading"),
        *("_room", "_socket", "_stage", "_unsent", "_worker", "_writing"),
    )

    def __init__(self, engine: Socket, socket: Any) -> None:
        self._engine = engine
        self._socket = socket
        self._hub = get_hub()
        self._reader = Reader(int(engine.server.max_http_buffer_size))
        self._reading: Any = None
        self._writing: Any = None
        self._inbox: list[str | bytes | None] = []
        self._inbox_bytes = 0
        self._worker: Any = None
        self._unsent: bytearray | None = None
        self._room: Any = None
        self._closing = False
        self._stage: str | None = PROBE  # what an upgrading client says next; None when it is upgraded
        open_lines.add(self)
        self._read_on()

    def start(self) -> None:
        """Begin: at once on a new line, after the client's probe on one that comes from polling."""
        if self._engine.connected:
            self._engine.upgrading = True
            self._hub.schedule_call_global(self._engine.server.ping_timeout, self._give_up_upgrade)
        else:
            self._engine.connected = True
            self._become_transport()

    # -- what Engine.IO uses of a queue --

    def put(self, packet: Any) -> None:
        """Send a packet; None closes the line when everything is sent."""
        if packet is not None:
            self.send(packet.encode())
        elif not self._closing and self._socket is not None:
            self._closing = True
            self._hub.schedule_call_global(LINGER_S, self._hang_up)
            if not self._unsent:
                self._say_goodbye()

    def join(self) -> None:
        """Return at once: what is not sent yet is sent by the hub."""

    # -- reading, in the hub's greenlet --

    def _read_on(self) -> None:
        self._reading = self._hub.add(READ, self._socket.fileno(), self._readable, self._fail, None)
        self._reading.greenlet = self._hub.greenlet  # and not this one, which would be kept

    def _read_no_more(self) -> None:
        if self._reading is not None:
            self._hub.remove(self._reading)
            self._reading = None

    def _readable(self, _fileno: int) -> None:
        if self._socket is None:  # hung up by another's handler since the hub last looked
            return
        try:
            data = self._socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        elif not self._closing:
            self._sort(self._reader.feed(data))

    def _sort(self, messages: list[Message]) -> None:
        for opcode, payload in messages:
            if opcode in (TEXT, BINARY):
                if payload == PONG_PACKET and self._stage is None:
                    self._engine.schedule_ping()  # at once: the handler of an event before it may wait
                else:
                    self._inbox.append(payload)  # type: ignore[arg-type]
                    self._inbox_bytes += len(payload)  # type: ignore[arg-type]
            elif opcode == PING:
                if not self._unsent:  # who does not read need not be answered (RFC 6455, 5.5.3, lets pongs be left out)
                    self._write(frame(PONG, payload))  # type: ignore[arg-type]
            else:
                status = payload if opcode == FAILED else NORMAL if payload else 0
                self._write(closing(status))  # type: ignore[arg-type]
                self._hang_up()
                return
        if self._worker is None:
            if self._inbox:
                self._set_to_work()
        elif len(self._inbox) > INBOX or self._inbox_bytes > INBOX_BYTES:
            self._read_no_more()

    def _set_to_work(self) -> None:
        self._worker = greenlet(self._work)
        self._worker.switch()

    # -- handling, in a greenlet that ends when all is handled --

    def _work(self) -> None:
        began = time.monotonic()
        while self._inbox:
            batch, self._inbox, self._inbox_bytes = self._inbox, [], 0
            for message in batch:
                self._handle(message)
                if time.monotonic() - began > TURN_S:
                    self._hub.schedule_call_global(0, self._worker.switch)
                    self._hub.switch()
                    began = time.monotonic()
        self._worker = None
        if self._reading is None and self._socket is not None:
            self._read_on()

    def _handle(self, message: str | bytes | None) -> None:
        engine = self._engine
        try:
            if message is None:
                self._end()
            elif self._stage is not None:
                self._upgrade(message)
            elif not engine.closed:
                engine.receive(engineio.packet.Packet(encoded_packet=message))
        except UnknownPacketError:
            pass  # as in Engine.IO: a packet that only servers send means nothing
        except SocketIsClosedError:
            self._hang_up()
        except Exception:
            engine.server.logger.exception("Unknown receive error")
            self._hang_up()

    def _upgrade(self, message: str | bytes) -> None:
        engine = self._engine
        if message != self._stage:
            engine.upgrading = False
            self._write(closing(NORMAL))
            self._hang_up()
        elif message == PROBE:
            self._stage = UPGRADE
            self.send(PROBE_ANSWER)
            engine.queue.put(engineio.packet.Packet(engineio.packet.NOOP))  # ends the poll that is under way
        else:
            engine.upgrading = False
            self._become_transport()

    def _become_transport(self) -> None:
        waiting, self._engine.queue = self._engine.queue, self
        self._engine.upgraded = True
        self._stage = None
        while not waiting.empty():
            self.put(waiting.get(block=False))
        if self._engine.closed:
            self.put(None)

    def _give_up_upgrade(self) -> None:
        if self._stage is not None:
            self._engine.upgrading = False
            self._hang_up()

    def _end(self) -> None:
        """The last thing to handle: the line is gone."""
        engine, self._engine = self._engine, None
        if self._stage is None:
            try:
                engine.close(wait=False, abort=True, reason=engine.server.reason.TRANSPORT_CLOSE)
            finally:
                engine.server.sockets.pop(engine.sid, None)

    # -- writing --

    def send(self, data: str | bytes) -> None:
        """Send a message; while much is unsent, a handler of this line's own events waits here."""
        if self._closing or self._socket is None:
            return
        self._write(frame(TEXT, data.encode()) if isinstance(data, str) else frame(BINARY, data))
        if self._unsent and len(self._unsent) > UNSENT_BYTES and self._worker is getcurrent():
            self._room = self._worker
            self._hub.schedule_call_global(STALL_S, self._look_whether_it_reads, self._room, len(self._unsent))
            self._hub.switch()

    def _look_whether_it_reads(self, waiting: Any, unsent: int) -> None:
        if self._room is not waiting or self._unsent is None:
            return
        if len(self._unsent) > unsent - STALL_BYTES:
            self._hang_up()
        else:
            self._hub.schedule_call_global(STALL_S, self._look_whether_it_reads, waiting, len(self._unsent))

    def _write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            if len(self._unsent) > MAX_UNSENT_BYTES:
                self._hub.schedule_call_global(0, self._hang_up)
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the end of the line, which its reader is about to see
        if sent < len(data):
            self._unsent = bytearray(data[sent:])
            self._writing = self._hub.add(WRITE, self._socket.fileno(), self._writable, self._fail, None)
            self._writing.greenlet = self._hub.greenlet

    def _writable(self, _fileno: int) -> None:
        if self._socket is None or self._unsent is None:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._write_no_more()
            self._make_room()
            if self._closing:
                self._say_goodbye()

    def _write_no_more(self) -> None:
        self._unsent = None
        if self._writing is not None:
            self._hub.remove(self._writing)
            self._writing = None

    def _make_room(self) -> None:
        if self._room is not None:
            waiting, self._room = self._room, None
            self._hub.schedule_call_global(0, waiting.switch)

    def _say_goodbye(self) -> None:
        try:
            self._socket.send(closing(NORMAL))
            self._socket.shutdown(native_socket.SHUT_WR)
        except OSError:
            self._hub.schedule_call_global(0, self._hang_up)

    # -- the end --

    def _fail(self, *_: Any) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        """Close the socket; what came before is handled still, and then the end."""
        if self._socket is None:
            return
        self._read_no_more()
        self._write_no_more()
        socket, self._socket = self._socket, None
        socket.close()
        open_lines.discard(self)
        self._make_room()
        self._inbox.append(None)
        if self._worker is None:
            self._hub.schedule_call_global(0, self._set_to_work)


def wait_for_end(seconds: float) -> None:
    """Return when no line is open any more, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while open_lines and time.monotonic() < deadline:
        greenthread.sleep(LOOK_S)
