"""Decides at every arrival whether the block list refuses the caller or the dialed number."""

from collections.abc import Sequence
from datetime import datetime

from callmatrix.core.ids import CampaignId
from callmatrix.store.blocks import Block


class BlockList:
    """The entries in use, arranged for looking up. Kept up to date by `put`, read at every arrival."""

    __slots__ = ("_by_place", "_entries")

    def __init__(self, blocks: Sequence[Block] = ()) -> None:
        self._entries: dict[str, Block] = {}
        self._by_place: dict[tuple[str | None, str, str, str], Block] = {}
        for block in blocks:
            self.put(block)

    def put(self, block: Block) -> None:
        """Take over an entry as it is now, or leave it out where it was removed."""
        place = (block.campaign_id, block.side, block.matches, block.pattern)
        if block.removed_at is None:
            self._entries[block.id] = block
            self._by_place[place] = block
            return
        self._entries.pop(block.id, None)
        held = self._by_place.get(place)
        if held is not None and held.id == block.id:
            del self._by_place[place]

    def match(
        self, campaign_id: CampaignId, *, caller: str | None, dialed: str, at: datetime
    ) -> Block | None:
        """The entry that refuses a call: the campaign's own first, the longest pattern first."""
        if not self._by_place:
            return None
        for scope in (campaign_id, None):
            for side, number in (("caller", caller), ("dialed", dialed)):
                found = None if number is None else self._longest(scope, side, number, at)
                if found is not None:
                    return found
        return None

    def _longest(self, scope: CampaignId | None, side: str, number: str, at: datetime) -> Block | None:
        exact = self._by_place.get((scope, side, "number", number))
        if exact is not None and _in_force(exact, at):
            return exact
        for length in range(len(number), 1, -1):
            found = self._by_place.get((scope, side, "prefix", number[:length]))
            if found is not None and _in_force(found, at):
                return found
        return None


def _in_force(block: Block, at: datetime) -> bool:
    return block.expires_at is None or at < block.expires_at
