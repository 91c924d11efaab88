-- Secrets of bidders beside those of connections; and what every auction, ping and post came to.

alter table connection_secret rename to secret;
alter table secret rename column connection_id to owner_id;
alter table secret add column kind text not null default 'connection' check (kind in ('connection', 'offer'));
alter table secret alter column kind drop default;
alter table secret drop constraint connection_secret_pkey;
alter table secret add primary key (account_id, kind, owner_id, name);

-- Evidence is written behind the calls, in batches, by whoever held the auction. Who won and at what price
-- is not here: that is the lead's own to say, and nothing is kept twice that could disagree.
create table auction (
    account_id   text not null,
    id           text not null,
    channel      text not null check (channel in ('call', 'form', 'callback')),
    lead_id      text not null,
    campaign_id  text not null,
    plan_version integer not null,
    round        integer not null,
    at           timestamptz not null,
    deadline_ms  integer not null,
    spent_ms     integer not null,
    pings        integer not null,
    bids         integer not null,
    simulated    boolean not null,
    test         boolean not null,
    primary key (account_id, id)
);

create index auction_latest on auction (account_id, at desc, id desc);
create index auction_campaign on auction (account_id, campaign_id, at desc, id desc);
create index auction_lead on auction (account_id, lead_id);

-- `code` is empty where the ping brought a bid.
create table ping (
    account_id     text not null,
    auction_id     text not null,
    offer_id       text not null,
    ping_id        text not null,
    buyer_id       text not null,
    campaign_id    text not null,
    lead_id        text not null,
    at             timestamptz not null,
    status         integer not null,
    code           text not null,
    detail         text not null,
    amount_micros  bigint,
    rank_by_micros bigint,
    bid_id         text not null,
    expires_at     timestamptz,
    reused         boolean not null,
    connect_us     integer not null,
    tls_us         integer not null,
    first_byte_us  integer not null,
    total_us       integer not null,
    simulated      boolean not null,
    test           boolean not null,
    primary key (account_id, auction_id, offer_id),
    check ((code = '') = (amount_micros is not null)),
    check ((amount_micros is null) = (rank_by_micros is null))
);

create index ping_offer on ping (account_id, offer_id, at desc);

-- Bodies live shorter than what they came to, so they are rows of their own: numbers masked, no secrets.
create table ping_body (
    account_id text not null,
    auction_id text not null,
    offer_id   text not null,
    at         timestamptz not null,
    request    text not null,
    reply      text not null,
    primary key (account_id, auction_id, offer_id)
);

-- Each time that a winner was told the lead. The request is not kept: it is the person's own data.
create table post (
    account_id  text not null,
    id          text not null,
    offer_id    text not null,
    buyer_id    text not null,
    campaign_id text not null,
    lead_id     text not null,
    ping_id     text not null,
    at          timestamptz not null,
    attempt     integer not null,
    status      integer not null,
    code        text not null,
    detail      text not null,
    reference   text not null,
    total_us    integer not null,
    reply       text,
    primary key (account_id, id)
);

create index post_lead on post (account_id, lead_id, at);
create index post_offer on post (account_id, offer_id, at desc);

-- Rows come in the order of time and go in it.
create index auction_at on auction using brin (at) with (autosummarize = on);
create index ping_at on ping using brin (at) with (autosummarize = on);
create index ping_body_at on ping_body using brin (at) with (autosummarize = on);
create index post_at on post using brin (at) with (autosummarize = on);
