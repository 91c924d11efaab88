"""The pinger: asks the bidders of an auction over HTTP, all at once, within a deadline."""

from callmatrix.live.pinger.pinger import MAX_ASKINGS as MAX_ASKINGS
from callmatrix.live.pinger.pinger import MAX_AUCTIONS as MAX_AUCTIONS
from callmatrix.live.pinger.pinger import MAX_CONNECTIONS as MAX_CONNECTIONS
from callmatrix.live.pinger.pinger import MAX_CONNECTIONS_PER_BIDDER as MAX_CONNECTIONS_PER_BIDDER
from callmatrix.live.pinger.pinger import Pinger as Pinger
from callmatrix.live.pinger.pinger import Throttling as Throttling
from callmatrix.live.pinger.pinger import open_pinger as open_pinger
from callmatrix.live.pinger.values import Answered as Answered
from callmatrix.live.pinger.values import Asking as Asking
from callmatrix.live.pinger.values import Health as Health
