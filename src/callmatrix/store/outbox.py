"""Keeps the order in which events leave the database: each committed event once, none missed, resumable.

Ids are given out before their transactions commit, so a reader that goes by id passes over those that commit
late. Rows are therefore read by (transaction id, id), and only below the oldest transaction still running.
"""

import re
from datetime import datetime
from typing import Final

import msgspec

from callmatrix.core.ids import AccountId, CallId, LeadId
from callmatrix.store import leads
from callmatrix.store.call_search import COLUMNS
from callmatrix.store.db import Row, Transaction

CHANNEL: Final = "callmatrix_saved"
MAX_PAGE: Final = 500
MAX_WATERMARK_CHARS: Final = 100
ADOPT_TIMEOUT_S: Final = 3_600  # rewriting the events of a large restored database takes its time

_WATERMARK: Final = re.compile(
    r"([0-9]{1,20}-[0-9A-F]{8}-[0-9]{1,10})\.([0-9]{1,20})\.([0-9]{1,19})", re.ASCII
)
_MAX_XID: Final = 2**64 - 1
_MAX_ID: Final = 2**63 - 1
# A dump that is restored elsewhere, a standby that took over and a copied database each go on with
# transaction ids of their own.
_EPOCH: Final = (
    "(select system_identifier::text from pg_control_system())"
    " || '-' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
    " || '-' || (select oid::text from pg_database where datname = current_database())"
)
_END: Final = (
    f"select {_EPOCH} as epoch, pg_snapshot_xmin(pg_current_snapshot())::text as oldest_running,"
    " pg_snapshot_xmax(pg_current_snapshot())::text as next_xid,"
    " exists (select from call_event where xid >= pg_snapshot_xmin(pg_current_snapshot()))"
    " or exists (select from lead_event where xid >= pg_snapshot_xmin(pg_current_snapshot())) as holds_back"
)
_NEXT: Final = (
    " where (xid, id) > ($1::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())"
    " order by xid, id limit $3"
)
# Calls and forms that came in between them, in one order: their ids are of one sequence.
_READ: Final = (
    f"select event_xid::text as xid_text, event_id, event_owner, event_lead, event_version, event_kind,"
    f" event_at, {COLUMNS}"
    " from ((select xid as event_xid, id as event_id, account_id as event_owner, call_id as event_call,"
    " null as event_lead, version as event_version, kind as event_kind, at as event_at from call_event"
    f"{_NEXT}) union all (select xid, id, account_id, null, lead_id, version,"
    " 'lead.' || case kind when 'adjusted' then kind else state end, at from lead_event"
    f"{_NEXT}) order by 1, 2 limit $3) e left join call on account_id = event_owner and id = event_call"
    " where id is not null or event_lead is not null order by event_xid, event_id"
)


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the order of events: everything up to it was read.

    Transaction ids mean something in one `epoch` only: one cluster, timeline and database.
    """

    epoch: str
    xid: int
    id: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.xid}.{self.id}"

    def covers(self, other: "Watermark") -> bool:
        """Whether `other`, of the same epoch, was read too."""
        return (other.xid, other.id) <= (self.xid, self.id)


class OutboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a call, and the call's row (`call_search.COLUMNS`) as it stands now, not as it did then."""

    watermark: Watermark
    account_id: AccountId
    call_id: CallId
    version: int
    kind: str
    at: datetime
    call: Row


class LeadOutboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a lead that came by form: `kind` is `lead.` and the state that it led to, or
    `lead.adjusted`; and the lead's row (`leads.COLUMNS`) as it stands now."""

    watermark: Watermark
    account_id: AccountId
    lead_id: LeadId
    version: int
    kind: str
    at: datetime
    lead: Row


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Events in order, where to go on, and whether committed events wait for an older transaction."""

    events: tuple[OutboxEvent | LeadOutboxEvent, ...]
    next: Watermark
    holds_back: bool


class Foreign(msgspec.Struct, frozen=True, kw_only=True):
    """The watermark is of another history: go on at the `tail`, or read all again from the `beginning`."""

    beginning: Watermark
    tail: Watermark


def parse_watermark(text: str) -> Watermark | None:
    """Read what `str` wrote; None for anything else."""
    found = _WATERMARK.fullmatch(text) if len(text) <= MAX_WATERMARK_CHARS else None
    if found is None or int(found[2]) > _MAX_XID or int(found[3]) > _MAX_ID:
        return None
    return Watermark(epoch=found[1], xid=int(found[2]), id=int(found[3]))


async def adopt(tx: Transaction) -> int:
    """Make a restored dump readable: its events keep their order and come before all new ones.

    To be called after migrating and before anything is written. Returns how many events were adopted, 0 where
    the database was made on this cluster.
    """
    cluster = await tx.fetchval("select system_identifier::text from pg_control_system()")
    await tx.execute(
        "insert into outbox_origin (cluster) values ($1) on conflict (only_one) do nothing", cluster
    )
    origin = await tx.fetchval("select cluster from outbox_origin for update")
    if origin == cluster:
        return 0
    await tx.execute("update outbox_origin set cluster = $1", cluster)
    adopted = 0
    for table in ("call_event", "lead_event"):
        status: str = await tx.execute(f"update {table} set xid = '0'", timeout=ADOPT_TIMEOUT_S)
        adopted += int(status.rpartition(" ")[2])
    return adopted


async def tail(tx: Transaction) -> Watermark:
    """The end as it is now: what is read from here on was not readable before."""
    return _tail(await _end(tx))


async def beginning(tx: Transaction) -> Watermark:
    """Before the first event."""
    return _beginning(await _end(tx))


async def read(tx: Transaction, watermark: Watermark, *, limit: int = MAX_PAGE) -> Page | Foreign:
    """The next events past `watermark` of every account, at most `limit`, in order.

    A watermark of another epoch, or past what this cluster has given out (an older copy of its files was put
    back), is `Foreign`.
    """
    end = await _end(tx)
    if watermark.epoch != end["epoch"] or watermark.xid > int(end["next_xid"]):
        return Foreign(beginning=_beginning(end), tail=_tail(end))
    rows = await tx.fetch(_READ, str(watermark.xid), watermark.id, min(limit, MAX_PAGE))
    named = [(row["event_owner"], row["event_lead"]) for row in rows if row["event_lead"] is not None]
    sent = await leads.rows(tx, named) if named else {}
    events = tuple(_event(row, watermark.epoch, sent) for row in rows)
    return Page(
        events=events,
        next=events[-1].watermark if events else watermark,
        holds_back=end["holds_back"],
    )


async def notify(tx: Transaction) -> None:
    """Tell every listening process that something was saved."""
    await tx.execute("select pg_notify($1, '')", CHANNEL)


async def _end(tx: Transaction) -> Row:
    row = await tx.fetchrow(_END)
    assert row is not None
    return row


def _tail(end: Row) -> Watermark:
    return Watermark(epoch=end["epoch"], xid=int(end["oldest_running"]), id=0)


def _beginning(end: Row) -> Watermark:
    return Watermark(epoch=end["epoch"], xid=0, id=0)


def _event(row: Row, epoch: str, sent: dict[tuple[AccountId, LeadId], Row]) -> OutboxEvent | LeadOutboxEvent:
    watermark = Watermark(epoch=epoch, xid=int(row["xid_text"]), id=row["event_id"])
    if row["event_lead"] is not None:
        return LeadOutboxEvent(
            watermark=watermark,
            account_id=row["event_owner"],
            lead_id=row["event_lead"],
            version=row["event_version"],
            kind=row["event_kind"],
            at=row["event_at"],
            lead=sent[row["event_owner"], row["event_lead"]],
        )
    return OutboxEvent(
        watermark=watermark,
        account_id=row["event_owner"],
        call_id=row["id"],
        version=row["event_version"],
        kind=row["event_kind"],
        at=row["event_at"],
        call=row,
    )
