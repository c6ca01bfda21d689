#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Receivers that misbehave in a known way, for the tests of userspace/ship. Loopback only.

server.py MODE [ARGUMENT …]   prints its port, then serves until its standard input ends.

  black-hole            accepts, reads a little, never answers
  reset BYTES           reads BYTES of a request, then resets the connection
  reset-once BYTES      the same for the first connection, then accepts everything
  slow BYTES_PER_S      reads that slowly
  status CODE [N]       answers CODE to the first N requests (default: all), then 201; prints "METHOD PATH" per request
  retry-after SECONDS   503 with Retry-After, then 201
  redirect URL          302
  early CODE            answers CODE before it reads the body, then closes
  late-close            takes the first request of a connection, closes it in the middle of the second
  keep-alive-close      201, says keep-alive and closes all the same
  s3 KEY SECRET REGION  checks an AWS signature version 4 (AWS documentation, "Signature Version 4"), 200 or 403
  syslog-tcp | syslog-udp   prints what it gets, as Python literals
"""
import hashlib
import hmac
import os
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(4096)
        if not piece:
            return None, {}, b""
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    return lines[0], headers, rest


def read_body(connection, headers, rest, rate=None):
    length = int(headers.get("content-length", "0"))
    body = rest
    while len(body) < length:
        if rate:
            time.sleep(0.1)
        piece = connection.recv(min(65536, length - len(body)) if not rate else max(1, rate // 10))
        if not piece:
            return None
        body += piece
    return body


def answer(connection, code, extra="", text="said the receiver\n"):
    body = text.encode()
    connection.sendall(f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def s3_verdict(line, headers, body, access, secret, region):
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    match = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?"
                     r"Signature=([0-9a-f]{64})$", headers.get("authorization", ""))
    if not match:
        return "no authorization"
    who, day, where, signed, signature = match.groups()
    if who != access or where != region:
        return "other key or region"
    if headers.get("x-amz-content-sha256") != hashlib.sha256(body).hexdigest():
        return "content hash"
    canonical_headers = "".join(f"{h}:{' '.join(headers[h].split())}\n" for h in signed.split(";"))
    for needed in ("host", "x-amz-date", "x-amz-content-sha256"):
        if needed not in signed.split(";"):
            return "not signed: " + needed
    uri = urllib.parse.quote(urllib.parse.unquote(path), safe="/-_.~")
    request = "\n".join([method, uri, query, canonical_headers, signed, headers["x-amz-content-sha256"]])
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()])
    key = sign(sign(sign(sign(("AWS4" + secret).encode(), day), region), "s3"), "aws4_request")
    return "" if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == signature else "signature"


count = 0
count_lock = threading.Lock()


def next_number():
    global count
    with count_lock:
        count += 1
        return count


def serve(connection, mode, arguments):
    number = next_number() if mode == "reset-once" else 0
    requests = 0
    while True:
        requests += 1
        if mode == "late-close" and requests == 2:
            connection.recv(4096)
            connection.close()
            return
        if mode == "black-hole":
            connection.recv(1024)
            time.sleep(3600)
        if mode == "reset" or (mode == "reset-once" and number == 1):
            got = 0
            while got < int(arguments[0]):
                piece = connection.recv(4096)
                if not piece:
                    return
                got += len(piece)
            reset(connection)
            return
        line, headers, rest = read_head(connection)
        if line is None:
            return
        if mode == "early":
            answer(connection, int(arguments[0]), "Connection: close\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
            connection.close()
            return
        body = read_body(connection, headers, rest, int(arguments[0]) if mode == "slow" else None)
        if body is None:
            return
        if mode in ("status", "retry-after"):
            say(" ".join(line.split(" ")[:2]) + " " + headers.get("x-flightrec-incident", "-"))
        if mode == "status":
            limit = int(arguments[1]) if len(arguments) > 1 else 1 << 60
            answer(connection, int(arguments[0]) if next_number() <= limit else 201)
        elif mode == "retry-after":
            if next_number() == 1:
                answer(connection, 503, f"Retry-After: {arguments[0]}\r\n")
            else:
                answer(connection, 201)
        elif mode == "redirect":
            answer(connection, 302, f"Location: {arguments[0]}\r\n")
        elif mode == "s3":
            verdict = s3_verdict(line, headers, body, *arguments)
            say(line.split(" ")[1] + " " + (verdict or "good") + " token=" + headers.get("x-amz-security-token", ""))
            answer(connection, 403 if verdict else 200, text=verdict)
        elif mode == "keep-alive-close":
            answer(connection, 201, "Connection: keep-alive\r\n")
            connection.close()
            return
        else:
            answer(connection, 201)


def syslog(listener, udp):
    while True:
        if udp:
            say(repr(listener.recvfrom(65536)[0]))
            continue
        connection, _ = listener.accept()
        data = b""
        while piece := connection.recv(65536):
            data += piece
        say(repr(data))


def safely(connection, mode, arguments):
    try:
        serve(connection, mode, arguments)
    except OSError:
        pass
    except (KeyError, ValueError) as error:
        say(f"bad request: {error!r}")
        connection.close()


def main():
    mode, arguments = sys.argv[1], sys.argv[2:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if mode == "syslog-udp" else socket.SOCK_STREAM)
    if mode in ("slow", "black-hole"):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    if mode != "syslog-udp":
        listener.listen(64)
    say(str(listener.getsockname()[1]))

    def loop():
        if mode.startswith("syslog"):
            syslog(listener, mode == "syslog-udp")
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=safely, args=(connection, mode, arguments), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
