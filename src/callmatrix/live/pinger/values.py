"""What a pinger is asked, what it answers, and how a bidder stands with it."""

from typing import Literal

import msgspec

from callmatrix.core.auction import NoBidCode
from callmatrix.dialects.http import HttpRequest

Code = NoBidCode | Literal[""]


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """One ping to send. `key` is unique in its auction; `bidder` (`<account>/<offer>`) is whose connections,
    throttle and health it counts for; `timeout_ms` is the bidder's own, from the auction's start.

    `once`: it has an effect, as a post has; so it goes out on a connection of its own and is never sent
    again, whatever becomes of that.
    """

    key: str
    bidder: str
    request: HttpRequest
    timeout_ms: int
    once: bool = False


class Answered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one ping: a whole reply (`code` ""; any status but 3xx), or why there is none.

    `status` is 0 where no whole reply came. `reused`: the connection was an idle one; else `connect_us` and
    `tls_us` say what opening it took. `first_byte_us` counts from the sending of the request, `total_us`
    from the asking.
    """

    key: str
    status: int = 0
    body: bytes = b""
    code: Code = ""
    detail: str = ""
    reused: bool = False
    connect_us: int = 0
    tls_us: int = 0
    first_byte_us: int = 0
    total_us: int = 0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How one bidder stands in this process.

    `failing` is the weighted share of its latest pings that failed; `skip_share` the chance that the next is
    not sent for it; `throttled` pings were not sent, `would_throttle` were, in the mode that only simulates.
    `late` answers came after somebody's deadline, in time for the connection to be kept; `retried` pings
    met an idle connection that had died. `codes` counts answers by code, "" for whole replies.
    """

    bidder: str
    failing: float = 0.0
    skip_share: float = 0.0
    asked: int = 0
    throttled: int = 0
    would_throttle: int = 0
    late: int = 0
    retried: int = 0
    opened: int = 0
    connections: int = 0
    idle: int = 0
    codes: dict[str, int] = {}
