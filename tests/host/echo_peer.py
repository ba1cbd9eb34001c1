"""A client of echo for client-segments: with a segment size and a receive buffer of its choice it sends
a megabyte, gets it back, and looks at how large the packets of its interface are, by the header that
the guest's device put before each (packet(7), PACKET_VNET_HDR).

usage: echo_peer.py INTERFACE ADDRESS MSS RECEIVE_BUFFER      (0: as it is)

Prints the largest segment size that a packet was to be cut to, and how many were.
"""
import random
import socket
import struct
import sys
import threading

ETH_P_ALL, SOL_PACKET, PACKET_VNET_HDR = 3, 263, 15
PACKET_OUTGOING = 4
BYTES = 1 << 20
TIMEOUT_S = 120



def capture(packets, sizes):
    while True:
        data, sender = packets.recvfrom(1 << 17)
        _, kind, _, size, _, _ = struct.unpack("<BBHHHH", data[:10])
        if kind and sender[2] != PACKET_OUTGOING:
            sizes.append(size)


def main(interface, address, mss, receive_buffer):
    sizes = []
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    packets.bind((interface, ETH_P_ALL))
    threading.Thread(target=capture, args=[packets, sizes], daemon=True).start()
    peer = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    peer.settimeout(TIMEOUT_S)
    if mss:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.connect((address, 7))
    sent, got = random.Random(5).randbytes(BYTES), bytearray()
    threading.Thread(target=peer.sendall, args=[sent], daemon=True).start()
    while len(got) < len(sent):
        part = peer.recv(30000)
        if not part:
            break
        got += part
    if bytes(got) != sent:
        sys.exit(f"{len(got)} bytes of {len(sent)} came back, or others")
    print(max(sizes, default=0), len(sizes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
