-- Keys that see what one buyer or publisher sees; and re-ratings that a job works off, part by part.

alter table api_key
    add column buyer_id text,
    add column publisher_id text,
    add constraint api_key_is_ones_own check (buyer_id is null or publisher_id is null);

-- `wanted` is which calls; `place_at` and `place_id` are how far they were looked through, newest first.
-- Those from before had every call written down when they began.
alter table rerating
    add column wanted jsonb not null default '{}',
    add column looked_at bigint not null default 0,
    add column looked_through boolean not null default true,
    add column place_at timestamptz,
    add column place_id text,
    add constraint rerating_place check ((place_at is null) = (place_id is null));

create index rerating_asked on rerating (account_id, asked_at desc, id desc);
drop index unknown_call_at;
create index unknown_call_latest on unknown_call (account_id, at desc, carrier_ref desc);
