"""Bids that we sell: reading a request, pricing it by the plan, and knowing the call that follows."""

from callmatrix.core.rtb.codes import REFUSALS as REFUSALS
from callmatrix.core.rtb.codes import REPEATED as REPEATED
from callmatrix.core.rtb.codes import Refusal as Refusal
from callmatrix.core.rtb.codes import RtbCode as RtbCode
from callmatrix.core.rtb.codes import RtbRefused as RtbRefused
from callmatrix.core.rtb.requests import MAX_FIELDS as MAX_FIELDS
from callmatrix.core.rtb.requests import BidRequest as BidRequest
from callmatrix.core.rtb.requests import read_request as read_request
from callmatrix.core.rtb.requests import request_hash as request_hash
from callmatrix.core.rtb.selling import LEAST_LIFE_S as LEAST_LIFE_S
from callmatrix.core.rtb.selling import AskFirst as AskFirst
from callmatrix.core.rtb.selling import Priced as Priced
from callmatrix.core.rtb.selling import claim_of as claim_of
from callmatrix.core.rtb.selling import facts_of_request as facts_of_request
from callmatrix.core.rtb.selling import geo_of_request as geo_of_request
from callmatrix.core.rtb.selling import has_room as has_room
from callmatrix.core.rtb.selling import lead_of_request as lead_of_request
from callmatrix.core.rtb.selling import sell as sell
from callmatrix.core.rtb.selling import unfit as unfit
from callmatrix.core.rtb.sold import NotSold as NotSold
from callmatrix.core.rtb.sold import NotSoldCode as NotSoldCode
from callmatrix.core.rtb.sold import Sold as Sold
from callmatrix.core.rtb.sold import SoldBid as SoldBid
from callmatrix.core.rtb.sold import sold_terms as sold_terms
from callmatrix.core.rtb.warnings import endpoint_warnings as endpoint_warnings
