"""A network device of our own: the device's side of vhost-user, in Python, behind QEMU's
`-netdev vhost-user`. It sees the guest's memory and plays the wire, or a device that lies.

Protocol: QEMU's docs/interop/vhost-user.rst, with no feature of its own. Rings: virtio 1.2, section
2.7. One thread serves QEMU; the test's own thread sends, and takes what the guest sent.
"""
import ctypes
import mmap
import os
import queue
import select
import socket
import struct
import threading
import time

GET_FEATURES, SET_FEATURES = 1, 2
SET_MEM_TABLE = 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES = 15
VERSION, REPLY, NO_FD = 1, 4, 0x100

F_CSUM, F_GUEST_CSUM, F_GUEST_TSO4, F_GUEST_TSO6 = 1 << 0, 1 << 1, 1 << 7, 1 << 8
F_HOST_TSO4, F_HOST_TSO6, F_MRG_RXBUF = 1 << 11, 1 << 12, 1 << 15
F_INDIRECT, F_EVENT_IDX, F_VERSION_1 = 1 << 28, 1 << 29, 1 << 32
ALL = (F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6 | F_MRG_RXBUF
       | F_INDIRECT | F_EVENT_IDX | F_VERSION_1)

PROTOCOL_FEATURES = 1 << 30  # QEMU 7.2 does without it until it starts the queues, then fails

NEXT, WRITE, INDIRECT = 1, 2, 4
RX, TX = 0, 1

# flags, segmentation, header bytes, segment bytes, checksum start and offset, number of buffers
HEADER = struct.Struct("<BBHHHHH")
NEEDS_CHECKSUM, DATA_VALID = 1, 2
NO_HEADER = (0, 0, 0, 0, 0, 0, 1)


class Memory:
    """The guest's memory, by machine address or by QEMU's own."""

    def __init__(self, regions, fds):
        self.regions = []
        for (guest, size, user, offset), fd in zip(regions, fds):
            self.regions.append((guest, user, size, offset, mmap.mmap(fd, size + offset)))
            os.close(fd)

    def place(self, address, of_qemu=False):
        for guest, user, size, offset, memory in self.regions:
            start = user if of_qemu else guest
            if start <= address < start + size:
                return memory, address - start + offset
        raise ValueError(f"0x{address:x} is not the guest's memory")

    def read(self, address, count):
        memory, at = self.place(address)
        return memory[at:at + count]

    def write(self, address, data):
        memory, at = self.place(address)
        memory[at:at + len(data)] = data


class Queue:
    def __init__(self):
        self.entries, self.addresses, self.taken, self.used = 0, None, 0, 0
        self.kick = self.call = None

    def start(self, memory):
        """The parts of the ring: (mapping, offset) each. Order: as in the message."""
        self.memory = memory
        self.descriptors, self.used_ring, self.available = (
            memory.place(address, of_qemu=True) for address in self.addresses)

    @staticmethod
    def store16(part, offset, value):
        """In one access, which the guest may see at any time. (pack_into would write zeros first.)"""
        ctypes.c_uint16.from_buffer(part[0], part[1] + offset).value = value

    @staticmethod
    def field(part, offset, form):
        return struct.unpack_from(form, part[0], part[1] + offset)

    def available_index(self):
        return self.field(self.available, 2, "<H")[0]

    def take(self):
        """The next head, or None."""
        if self.taken == self.available_index():
            return None
        head, = self.field(self.available, 4 + 2 * (self.taken % self.entries), "<H")
        self.taken = (self.taken + 1) % 0x10000
        # Asks to be told of the next one (avail_event).
        self.store16(self.used_ring, 4 + 8 * self.entries, self.taken)
        return head

    def pieces(self, head):
        """[(address, bytes, flags)] of a buffer, checked as a device would."""
        found, table, limit, at = [], self.descriptors, self.entries, head
        address, size, flags, following = self.field(table, 16 * at, "<QIHH")
        if flags & INDIRECT:
            assert not flags & NEXT and size % 16 == 0, "a bad indirect descriptor"
            table, limit, at = self.memory.place(address), size // 16, 0
        while True:
            assert at < limit and len(found) < limit, "a chain that leaves its table, or never ends"
            address, size, flags, following = self.field(table, 16 * at, "<QIHH")
            found.append((address, size, flags & ~NEXT))
            if not flags & NEXT:
                return found
            at = following

    def put_used(self, head, count):
        offset = self.used_ring[1] + 4 + 8 * (self.used % self.entries)
        struct.pack_into("<II", self.used_ring[0], offset, head, count)
        self.used = (self.used + 1) % 0x10000

    def publish(self, index=None):
        self.store16(self.used_ring, 2, self.used if index is None else index)

    def interrupt(self):
        if self.call is not None:
            os.write(self.call, struct.pack("<Q", 1))


class Device:
    """Serves one QEMU. `sent`: a queue.Queue of (header, frame, number of descriptors)."""

    def __init__(self, path, features=ALL):
        self.features, self.negotiated = features, 0
        self.sent, self.failure = queue.Queue(), None
        self.queues = [Queue(), Queue()]
        self.lock = threading.Lock()
        self.started = threading.Event()
        self.keeps_sent, self.kept = False, []  # whether sent packets are not given back; which
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            self.connection, _ = self.listener.accept()
            while True:
                kick = self.queues[TX].kick
                ready, _, _ = select.select([self.connection] + ([kick] if kick is not None else []), [], [])
                if kick in ready:
                    os.read(kick, 8)
                    with self.lock:
                        self.drain()
                if self.connection in ready and not self.message():
                    return
        except Exception as error:  # the test's thread reports it
            self.failure = error
            self.sent.put(None)

    # --- vhost-user ---------------------------------------------------------------------------

    def message(self):
        head, fds, _, _ = socket.recv_fds(self.connection, 12, 8)
        if not head:
            return False
        request, _, size = struct.unpack("<III", head)
        payload = self.connection.recv(size, socket.MSG_WAITALL) if size else b""
        with self.lock:
            answer = self.handle(request, payload, list(fds))
        if answer is not None:
            self.connection.sendall(struct.pack("<III", request, VERSION | REPLY, len(answer)) + answer)
        return True

    def handle(self, request, payload, fds):
        if request == GET_FEATURES:
            return struct.pack("<Q", self.features | PROTOCOL_FEATURES)
        if request == GET_PROTOCOL_FEATURES:
            return struct.pack("<Q", 0)
        if request == SET_FEATURES:
            self.negotiated, = struct.unpack("<Q", payload)
        elif request == SET_MEM_TABLE:
            count, = struct.unpack_from("<I", payload)
            self.memory = Memory([struct.unpack_from("<QQQQ", payload, 8 + 32 * i) for i in range(count)], fds)
        elif request in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE):
            index, value = struct.unpack("<II", payload)
            if request == SET_VRING_NUM:
                self.queues[index].entries = value
            elif request == SET_VRING_BASE:
                self.queues[index].taken = self.queues[index].used = value
            else:
                self.started.clear()
                self.queues[index].kick = None
                return struct.pack("<II", index, self.queues[index].taken)
        elif request == SET_VRING_ADDR:
            index, _, descriptors, used, available, _ = struct.unpack("<IIQQQQ", payload)
            self.queues[index].addresses = (descriptors, used, available)
        elif request in (SET_VRING_KICK, SET_VRING_CALL):
            value, = struct.unpack("<Q", payload)
            fd = None if value & NO_FD else fds[0]
            which = self.queues[value & 0xff]
            if request == SET_VRING_CALL:
                which.call = fd
            else:
                which.kick = fd
                which.start(self.memory)
                if all(q.kick is not None for q in self.queues):
                    self.started.set()
                    self.drain()  # what came while nobody heard kicks
        return None

    # --- The device ---------------------------------------------------------------------------

    def drain(self):
        """Takes what the guest sent."""
        q = self.queues[TX]
        while (head := q.take()) is not None:
            pieces = q.pieces(head)
            assert not any(flags & WRITE for _, _, flags in pieces), "a sent packet is to be written"
            data = b"".join(self.memory.read(address, size) for address, size, _ in pieces)
            self.sent.put((HEADER.unpack_from(data), data[HEADER.size:], len(pieces)))
            self.kept.append(head)
        if not self.keeps_sent:
            self.give_back()

    def give_back(self):
        """Returns the buffers of sent packets."""
        q = self.queues[TX]
        for head in self.kept:
            q.put_used(head, 0)
        if self.kept:
            q.publish()
            q.interrupt()
        self.kept = []

    def receive(self, timeout=60):
        """The next packet that the guest sent."""
        got = self.sent.get(timeout=timeout)
        if got is None:
            raise AssertionError(f"the guest misused its queue: {self.failure}") from self.failure
        return got

    def fill(self, data):
        """Puts bytes into receive buffers, as many as it takes; returns [(head, bytes)]."""
        q, used = self.queues[RX], []
        while data or not used:
            head = q.take()
            assert head is not None, "the guest offers no receive buffers"
            pieces = q.pieces(head)
            assert all(flags & WRITE for _, _, flags in pieces), "a receive buffer is only readable"
            start = len(data)
            for address, size, _ in pieces:
                self.memory.write(address, data[:size])
                data = data[size:]
            used.append((head, start - len(data)))
            assert not data or self.negotiated & F_MRG_RXBUF, "the packet does not fit"
        return used

    def buffers_of(self, count):
        """How many receive buffers that many bytes take (all are alike); None: more than there are."""
        q = self.queues[RX]
        offered = (q.available_index() - q.taken) % 0x10000
        if not offered:
            return None
        head, = q.field(q.available, 4 + 2 * (q.taken % q.entries), "<H")
        needed = -(-count // sum(size for _, size, _ in q.pieces(head)))
        return needed if needed <= offered else None

    def send(self, frame, header=NO_HEADER, timeout=60):
        """A frame for the guest, once QEMU has started the device and the guest offers the buffers for it. (QEMU
        tells the guest of a link that goes up before it starts the device again.)"""
        end = time.monotonic() + timeout
        while True:
            with self.lock:
                count = self.started.is_set() and self.buffers_of(HEADER.size + len(frame))
                if count:
                    q = self.queues[RX]
                    for head, size in self.fill(HEADER.pack(*header[:6], count) + frame):
                        q.put_used(head, size)
                    q.publish()
                    q.interrupt()
                    return
            assert time.monotonic() < end, "the guest offers no receive buffers"
            time.sleep(0.001)
