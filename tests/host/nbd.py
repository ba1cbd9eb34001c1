"""A disk of our own behind QEMU's block layer: an NBD server in Python. It has a volatile cache that a loss of
power takes a random part of, answers out of order, and fails on demand.

Protocol: the NBD project's doc/proto.md, fixed newstyle, simple replies. One thread serves QEMU.
"""
import os
import random
import select
import socket
import struct
import threading

SECTOR_BYTES = 512
READ, WRITE, DISCONNECT, FLUSH, TRIM, WRITE_ZEROES = 0, 1, 2, 3, 4, 6
FUA = 1
EIO = 5

OPTION_MAGIC, OPTION_REPLY_MAGIC = 0x49484156454F5054, 0x3E889045565A9
OPTION_GO, REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 7, 1, 3, 0x80000001
INFO_EXPORT, INFO_BLOCK_SIZE = 0, 3
HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, SEND_WRITE_ZEROES = 1, 4, 8, 32, 64
REQUEST = struct.Struct(">IHHQQI")
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698


class Disk:
    """Serves `contents`, a bytearray: what is on the disk for good. Writes go to it by a flush that came after
    their answer. `fails(operation, first sector)` says which requests get an I/O error."""

    def __init__(self, path, contents, seed=0, power_cut_at=None, fails=lambda operation, sector: False):
        self.contents, self.random, self.fails = contents, random.Random(seed), fails
        self.cache = []  # (sector, its new contents), in the order of answers; not on the disk yet
        self.requests, self.power_cut_at = 0, power_cut_at
        self.has_power_cut = threading.Event()
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.problem = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def stop(self):
        """Behind QEMU's end."""
        self.listener.close()
        self.thread.join(60)
        os.unlink(self.path)
        assert not self.thread.is_alive() and not self.problem, f"the disk's server: {self.problem}"

    def cut_power(self):
        """Each sector in the cache is on the disk as it was, or as some write since has left it."""
        versions = {}
        for sector, data in self.cache:
            versions.setdefault(sector, []).append(data)
        for sector, datas in versions.items():
            data = self.random.choice([None, *datas])
            if data is not None:
                self.store(sector, data)
        self.cache = []
        self.has_power_cut.set()

    # --- The connection ---------------------------------------------------------------------------

    def serve(self):
        try:
            connection, _ = self.listener.accept()
            with connection:
                self.greet(connection)
                self.serve_requests(connection)
        except (ConnectionError, EOFError):
            pass  # QEMU was killed
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.problem = repr(error)

    @staticmethod
    def receive(connection, count):
        data = bytearray()
        while len(data) < count:
            part = connection.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def greet(self, connection):
        connection.sendall(struct.pack(">8sQH", b"NBDMAGIC", OPTION_MAGIC, 1 | 2))
        self.receive(connection, 4)
        while True:
            magic, option, length = struct.unpack(">QII", self.receive(connection, 16))
            assert magic == OPTION_MAGIC, hex(magic)
            self.receive(connection, length)

            def reply(kind, data=b"", option=option):
                connection.sendall(struct.pack(">QIII", OPTION_REPLY_MAGIC, option, kind, len(data)) + data)
            if option != OPTION_GO:
                reply(REPLY_UNSUPPORTED)
                continue
            flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES
            reply(REPLY_INFO, struct.pack(">HQH", INFO_EXPORT, len(self.contents), flags))
            reply(REPLY_INFO, struct.pack(">HIII", INFO_BLOCK_SIZE, SECTOR_BYTES, 4096, 1 << 25))
            reply(REPLY_ACK)
            return

    def serve_requests(self, connection):
        """Of the requests that are there, answers any; a flush covers what was answered before it came."""
        pending = []
        while True:
            while not pending or select.select([connection], [], [], 0)[0]:
                magic, flags, operation, handle, offset, length = REQUEST.unpack(
                    self.receive(connection, REQUEST.size))
                assert magic == REQUEST_MAGIC, hex(magic)
                if operation == DISCONNECT:
                    return
                data = self.receive(connection, length) if operation == WRITE else b""
                assert offset % SECTOR_BYTES == 0 == length % SECTOR_BYTES, (operation, offset, length)
                pending.append((operation, flags, handle, offset // SECTOR_BYTES, length // SECTOR_BYTES, data,
                                len(self.cache)))
            self.requests += 1
            if self.requests == self.power_cut_at:
                self.cut_power()
                while True:
                    self.receive(connection, 1)  # no answer any more
            request = pending.pop(self.random.randrange(len(pending)))
            if self.fails(request[0], request[3]):
                connection.sendall(struct.pack(">IIQ", REPLY_MAGIC, EIO, request[2]))
                continue
            answer, flushed = self.execute(*request)
            connection.sendall(struct.pack(">IIQ", REPLY_MAGIC, 0, request[2]) + answer)
            pending = [(*other[:-1], max(0, other[-1] - flushed)) for other in pending]

    # --- Requests ---------------------------------------------------------------------------------

    def store(self, sector, data):
        self.contents[sector * SECTOR_BYTES:(sector + 1) * SECTOR_BYTES] = data

    def execute(self, operation, flags, _, sector, count, data, written_before):
        """(what to answer, by how much the cache became shorter)"""
        if operation == READ:
            found = bytearray(self.contents[sector * SECTOR_BYTES:(sector + count) * SECTOR_BYTES])
            for at, new in self.cache:
                if sector <= at < sector + count:
                    found[(at - sector) * SECTOR_BYTES:(at - sector + 1) * SECTOR_BYTES] = new
            return bytes(found), 0
        if operation == FLUSH:
            return b"", self.flush(written_before)
        if operation == WRITE:
            new = [(sector + i, data[i * SECTOR_BYTES:(i + 1) * SECTOR_BYTES]) for i in range(count)]
        elif operation == WRITE_ZEROES or operation == TRIM and self.random.random() < 0.5:
            new = [(sector + i, bytes(SECTOR_BYTES)) for i in range(count)]
        else:
            assert operation == TRIM, f"operation {operation}"
            new = []
        self.cache += new
        return b"", self.flush(len(self.cache)) if flags & FUA else 0

    def flush(self, count):
        for sector, data in self.cache[:count]:
            self.store(sector, data)
        del self.cache[:count]
        return count
