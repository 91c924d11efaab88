-- The operator of the platform: everything else belongs to one account.

create table account (
    account_id      text primary key check (length(account_id) between 1 and 64),
    name            text not null check (length(name) between 1 and 200),
    currency        char(3) not null check (currency ~ '^[A-Z]{3}$'),
    time_zone       text not null check (length(time_zone) between 1 and 64),
    -- 1 is Monday, as in ISO 8601
    week_starts_on  smallint not null check (week_starts_on between 1 and 7),
    -- grows with every change of configuration; compiled plans are pinned to it
    catalog_version bigint not null default 1 check (catalog_version >= 1),
    created_at      timestamptz not null
);
