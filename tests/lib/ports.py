"""Ports for what gives one up and takes it again, or hands its number on before it listens."""
import pathlib
import random
import socket

RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 15000


def steady(count=1):
    """The first of so many free ports in a row that the kernel gives to nobody who asks for any."""
    first_given = int(RANGE.read_text().split()[0])
    top = first_given if first_given > LOWEST + 1000 else 32768
    for _ in range(100):
        port = random.SystemRandom().randrange(LOWEST, top - count)
        if all(is_free(port + number) for number in range(count)):
            return port
    raise AssertionError("no port is free")


def is_free(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as one:
            try:
                one.bind((address, port))
            except OSError:
                return False
    return True
