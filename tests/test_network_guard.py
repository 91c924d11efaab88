"""The guard of the test run itself: no test reaches beyond this machine."""

import asyncio
import socket

import pytest

OUTSIDE_V4 = ("192.0.2.1", 9)  # RFC 5737: documentation, never routed
OUTSIDE_V6 = ("2001:db8::1", 9)  # RFC 3849


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, OUTSIDE_V4), (socket.AF_INET6, OUTSIDE_V6)])
def test_a_connection_to_the_outside_is_refused(
    family: socket.AddressFamily, address: tuple[str, int]
) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as stream:
        with pytest.raises(BaseException, match="loopback only"):
            stream.connect(address)


def test_a_datagram_to_the_outside_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        with pytest.raises(BaseException, match="loopback only"):
            datagram.sendto(b"", OUTSIDE_V4)


async def test_asyncio_is_guarded_too() -> None:
    with pytest.raises(BaseException, match="loopback only"):
        await asyncio.open_connection(*OUTSIDE_V4)


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(BaseException, match=r"may not look up calls\.example\.com"):
        socket.getaddrinfo("calls.example.com", 80)


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname()) as stream:
            assert stream.getpeername() == listening.getsockname()
