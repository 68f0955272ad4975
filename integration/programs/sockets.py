#!/usr/bin/env python3
"""What calls on sockets give, once by a program with one thread and once by one with several: run alone and in a supervised tree, and compared.

usage: sockets.py PORT   (in an empty directory; uses PORT to PORT + 3)
"""
import array
import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

PORT = int(sys.argv[1])
LOCAL = "127.0.0.1"
SO_PEERCRED, SO_PASSCRED, SO_ZEROCOPY, MSG_ZEROCOPY = 17, 16, 60, 0x4000000


def tried(what, *arguments):
    try:
        return what(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)


def credentials(ancillary):
    return [(struct.unpack("3i", data)[0] == os.getpid(), struct.unpack("3i", data)[1:]) for level, kind, data in ancillary if kind == 2]


def unix_streams():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("stream")
    print("listen", tried(listener.listen, 1))
    client = socket.socket(socket.AF_UNIX)
    print("connect", tried(client.connect, "stream"), tried(client.connect, "stream"), tried(socket.socket(socket.AF_UNIX).connect, "none"))
    server, _ = listener.accept()
    # The number of the process is another one where several threads could exchange the descriptor.
    print("peers", [struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, SO_PEERCRED, 12))[1:] for s in (client, server)])
    server.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
    reader, writer = os.pipe()
    print("sendmsg", client.sendmsg([b"one", b"", b"two"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer, 1]))]))
    data, ancillary, flags, _ = server.recvmsg(100, 200)
    print("got", data, flags, credentials(ancillary), sorted(len(entry[2]) for entry in ancillary))
    passed = array.array("i", [entry for entry in ancillary if entry[1] == socket.SCM_RIGHTS][0][2])
    os.write(passed[0], b"through")
    print("pipe", os.read(reader, 100), len(passed))
    own = struct.pack("3i", os.getpid(), os.getuid(), os.getgid())
    wrong = struct.pack("3i", os.getpid(), 4711, os.getgid())
    print("own credentials", tried(client.sendmsg, [b"x"], [(socket.SOL_SOCKET, 2, own)]), server.recvmsg(10, 100)[0])
    child = os.fork()
    if child == 0:
        os.setresgid(1234, 1234, 1234)
        os.setresuid(1234, 1234, 1234)
        print("as another", tried(client.sendmsg, [b"u"]), tried(client.sendmsg, [b"x"], [(socket.SOL_SOCKET, 2, wrong)]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    data, ancillary, _, _ = server.recvmsg(10, 100)
    print("from another", data, [ids for _, ids in credentials(ancillary)])
    print("bad", tried(client.sendmsg, [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [999]))]))
    big = os.urandom(1 << 21)
    received = bytearray()

    def read():
        while len(received) < len(big):
            received.extend(server.recv(1 << 16))

    thread = threading.Thread(target=read)
    thread.start()
    print("big", client.sendmsg([big[:100], big[100:]]))
    thread.join()
    print("same", bytes(received) == big)
    client.setblocking(False)
    sent = client.sendmsg([big])
    print("what fits", 0 < sent < len(big), tried(client.sendmsg, [big]))
    server.close()
    print("closed", tried(client.sendmsg, [b"x"]))
    # Its backlog is full with the second.
    more = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for s in more:
        s.setblocking(False)
    print("full", [tried(s.connect, "stream") for s in more])
    os.unlink("stream")


def unix_datagrams():
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind("datagram")
    receiver.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    print("sendto", sender.sendto(b"one", "datagram"), tried(sender.sendto, b"x", "none"), tried(sender.send, b"x"))
    print("connect", tried(sender.connect, "datagram"), sender.send(b"two"), sender.sendmsg([b"three"]))
    print("got", [receiver.recvmsg(10, 100)[0] for _ in range(3)])
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    abstract.bind("\0portcullis-%d" % PORT)
    print("abstract", sender.sendto(b"x", "\0portcullis-%d" % PORT), abstract.recv(10))
    pairs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    print("packets", pairs[0].sendmsg([b"a", b"b"]), pairs[1].recv(10))
    os.unlink("datagram")


def streams():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOCAL, PORT))
    print("listen", tried(listener.listen, 8))
    listener.settimeout(None)

    def echo(count):
        for _ in range(count):
            connection, address = listener.accept()
            connection.sendall(connection.recv(1 << 20).upper())
            connection.close()

    thread = threading.Thread(target=echo, args=(3,))
    thread.start()
    client = socket.create_connection((LOCAL, PORT))
    client.sendmsg([b"te", b"xt"])
    print("echo", client.recv(100), client.getpeername()[1] == PORT, tried(client.connect, (LOCAL, PORT)))
    slow = socket.socket()
    slow.setblocking(False)
    print("at once", tried(slow.connect, (LOCAL, PORT)), len(select.select([], [slow], [], 5)[1]), slow.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    slow.send(b"again")
    select.select([slow], [], [], 5)
    print("echo", slow.recv(100))
    fast = socket.socket()
    print("fast", tried(fast.sendto, b"open", socket.MSG_FASTOPEN, (LOCAL, PORT)), fast.recv(100))
    thread.join()
    print("refused", tried(socket.socket().connect, (LOCAL, PORT + 1)), tried(socket.socket().connect, ("255.255.255.255", 1)))
    listener.setblocking(False)
    print("nobody", tried(listener.accept))
    # SO_RCVTIMEO.
    listener.setblocking(True)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 100000))
    begun = time.monotonic()
    print("patience", tried(listener.accept), 0.05 < time.monotonic() - begun < 2)
    zero = socket.create_connection((LOCAL, PORT))
    zero.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    other, _ = listener.accept()
    print("zero copy", zero.sendmsg([b"z" * 5000], [], MSG_ZEROCOPY), len(other.recv(5000, socket.MSG_WAITALL)))
    select.select([], [], [zero], 1)
    print("completion", tried(lambda: len(zero.recvmsg(10, 200, socket.MSG_ERRQUEUE)[1])))
    six = socket.socket(socket.AF_INET6)
    print("mapped", tried(six.connect, ("::ffff:127.0.0.1", PORT)))


def datagrams():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((LOCAL, PORT + 2))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("sendto", sender.sendto(b"one", (LOCAL, PORT + 2)), tried(sender.send, b"x"), tried(sender.sendto, b"x" * 70000, (LOCAL, PORT + 2)))
    print("sendmsg", sender.sendmsg([b"tw", b"o"], [(socket.IPPROTO_IP, 2, struct.pack("i", 7))], 0, (LOCAL, PORT + 2)))
    print("connect", tried(sender.connect, (LOCAL, PORT + 2)), sender.send(b"three"), sender.sendmsg([b"four"]))
    print("got", [receiver.recv(10) for _ in range(4)])
    lost = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    lost.connect((LOCAL, PORT + 3))
    print("nobody", lost.sendmsg([b"x"]), tried(lost.sendmsg, [b"x"]))


def signals():
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm"))
    listener = socket.socket()
    listener.bind((LOCAL, 0))
    listener.listen(1)

    class Ended(Exception):
        pass

    def end(*_):
        raise Ended

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    begun = time.monotonic()
    try:
        listener.accept()
    except Ended:
        print("interrupted", time.monotonic() - begun < 2)
    # Nobody takes these out of the queue: the last of them waits for an answer.
    waiting = [socket.socket() for _ in range(4)]
    for s in waiting[:3]:
        s.setblocking(False)
        tried(s.connect, listener.getsockname())
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    begun = time.monotonic()
    try:
        print("connect", tried(waiting[3].connect, listener.getsockname()))
    except Ended:
        print("interrupted", time.monotonic() - begun < 2)
    one, other = socket.socketpair()
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        while True:
            one.sendmsg([b"x" * 65536])
    except Ended:
        print("interrupted")
    ended = subprocess.run(
        [sys.executable, "-c", THREAD * (threading.active_count() > 1) + BROKEN], stdin=subprocess.DEVNULL).returncode
    print("broken pipe", ended)


THREAD = "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
BROKEN = """
import signal, socket
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
one, other = socket.socketpair(); other.close(); one.sendmsg([b"x"])
"""


def everything():
    for part in (unix_streams, unix_datagrams, streams, datagrams, signals):
        print("#", part.__name__)
        part()


everything()
print("## with another thread")
threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
everything()
