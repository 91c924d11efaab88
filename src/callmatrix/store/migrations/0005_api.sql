-- What only people ask for: closed statements, and re-ratings of many calls.

create table statement (
    account_id text not null,
    id text not null,
    account text not null check (account in ('buyer', 'publisher')),
    owner_id text not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    opening_micros bigint not null,
    closing_micros bigint not null,
    lines jsonb not null,
    closed_at timestamptz not null,
    closed_by text not null,
    primary key (account_id, id),
    check (starts_at < ends_at)
);

-- Periods of one owner follow each other without a gap: two that close at once meet here.
create unique index statement_period on statement (account_id, account, owner_id, starts_at);
create index statement_closed on statement (account_id, closed_at desc, id desc);

create function statement_is_closed() returns trigger language plpgsql as $$
begin
    raise exception 'a closed statement stays closed' using errcode = 'restrict_violation';
end $$;

create trigger statement_append_only before update or delete on statement
    for each row execute function statement_is_closed();

create table rerating (
    account_id text not null,
    id text not null,
    reason text not null,
    asked_by text not null,
    asked_at timestamptz not null,
    primary key (account_id, id)
);

create table rerating_call (
    account_id text not null,
    rerating_id text not null,
    call_id text not null,
    old_revenue_micros bigint not null,
    old_payout_micros bigint not null,
    new_revenue_micros bigint not null,
    new_payout_micros bigint not null,
    done_at timestamptz,
    refusal text not null default '',
    primary key (account_id, rerating_id, call_id),
    foreign key (account_id, rerating_id) references rerating (account_id, id)
) with (fillfactor = 80);

create index rerating_call_open on rerating_call (account_id, rerating_id) where done_at is null;
