-- Configuration with its revisions, the plans that calls are pinned to, people and keys, and who did what.
--
-- Whoever saves configuration holds the account's row first, so versions of the catalog are committed in
-- order; a row's `catalog_version` says with which of them it last changed, and a process that knows the
-- catalog up to some version asks for what came after it.

create table config (
    account_id      text not null references account,
    kind            text not null check (kind in (
        'account', 'buyer', 'offer', 'publisher', 'campaign', 'number', 'connection', 'flow')),
    id              text not null check (length(id) between 1 and 64),
    revision        integer not null check (revision >= 1),
    name            text not null,
    status          text not null,
    archived        boolean not null default false,
    document        jsonb not null,
    created_at      timestamptz not null,
    changed_at      timestamptz not null,
    catalog_version bigint not null,
    primary key (account_id, kind, id)
);
create index config_by_name on config (account_id, kind, lower(name), id);
create index config_by_version on config (account_id, catalog_version);
-- A number that is in use is there once.
create unique index config_number on config (account_id, name) where kind = 'number' and not archived;
create index config_by_buyer on config (account_id, (document ->> 'buyer_id')) where kind = 'offer';
create index config_by_connection on config (account_id, (document ->> 'connection_id')) where kind = 'number';

create table config_revision (
    account_id text not null,
    kind       text not null,
    id         text not null,
    revision   integer not null,
    document   jsonb not null,
    what       text not null check (what in ('create', 'change', 'pause', 'resume', 'archive', 'restore',
        'clone', 'publish', 'schedule')),
    changed_by text not null,
    changed_at timestamptz not null,
    note       text not null,
    primary key (account_id, kind, id, revision),
    foreign key (account_id, kind, id) references config
);

-- What a document names: it may not be archived while it is named.
create table config_reference (
    account_id text not null,
    kind       text not null,
    id         text not null,
    to_kind    text not null,
    to_id      text not null,
    primary key (account_id, kind, id, to_kind, to_id),
    foreign key (account_id, kind, id) references config,
    foreign key (account_id, to_kind, to_id) references config
);
create index config_reference_to on config_reference (account_id, to_kind, to_id);

-- A change with a start instant; it is what differs from `base_revision` that will change.
create table config_scheduled (
    account_id    text not null,
    id            text not null,
    kind          text not null,
    config_id     text not null,
    base_revision integer not null,
    document      jsonb not null,
    starts_at     timestamptz not null,
    state         text not null default 'waiting' check (state in ('waiting', 'applied', 'canceled', 'failed')),
    reason        text not null default '',
    note          text not null,
    scheduled_by  text not null,
    scheduled_at  timestamptz not null,
    ended_at      timestamptz,
    primary key (account_id, id),
    foreign key (account_id, kind, config_id) references config,
    check ((state = 'waiting') = (ended_at is null))
);
create index config_scheduled_due on config_scheduled (starts_at) where state = 'waiting';
create index config_scheduled_of on config_scheduled (account_id, kind, config_id, starts_at);

create table flow_version (
    account_id   text not null,
    flow_id      text not null,
    version      integer not null check (version >= 1),
    document     jsonb not null,
    published_by text not null,
    published_at timestamptz not null,
    note         text not null,
    primary key (account_id, flow_id, version)
);

-- A plan is the revisions that it is made of; read together they are the same for ever.
create table plan (
    account_id      text not null,
    campaign_id     text not null,
    version         integer not null check (version >= 1),
    kinds           text[] not null,
    ids             text[] not null,
    revisions       integer[] not null,
    made_at         timestamptz not null,
    catalog_version bigint not null,
    primary key (account_id, campaign_id, version),
    check (cardinality(kinds) = cardinality(ids) and cardinality(ids) = cardinality(revisions))
);
create index plan_by_version on plan (account_id, catalog_version);

create table connection_secret (
    account_id    text not null,
    connection_id text not null,
    name          text not null check (length(name) between 1 and 40),
    sealed        bytea not null,
    changed_at    timestamptz not null,
    primary key (account_id, connection_id, name)
);

create table audit (
    account_id      text not null,
    id              bigint generated always as identity,
    at              timestamptz not null,
    who             text not null,
    what            text not null,
    kind            text not null,
    target_id       text not null,
    before_revision integer,
    after_revision  integer,
    note            text not null,
    details         jsonb not null,
    primary key (account_id, id)
);
create index audit_of on audit (account_id, kind, target_id, id);

-- Who is refused before anything else. Rows that are over stay, so that processes learn of it.
create table block (
    account_id      text not null,
    id              text not null,
    campaign_id     text,
    side            text not null check (side in ('caller', 'dialed')),
    matches         text not null check (matches in ('number', 'prefix')),
    pattern         text not null check (length(pattern) between 2 and 16),
    reason          text not null,
    blocked_by      text not null,
    blocked_at      timestamptz not null,
    expires_at      timestamptz,
    removed_at      timestamptz,
    catalog_version bigint not null,
    primary key (account_id, id)
);
create index block_by_version on block (account_id, catalog_version);
create unique index block_once on block (account_id, coalesce(campaign_id, ''), side, matches, pattern)
    where removed_at is null;

create table app_user (
    account_id    text not null references account,
    id            text not null,
    email         text not null check (email = lower(email) and length(email) between 3 and 254),
    name          text not null,
    role          text not null check (role in ('admin', 'manager', 'analyst', 'buyer', 'publisher')),
    buyer_id      text,
    publisher_id  text,
    status        text not null check (status in ('active', 'disabled')),
    password_hash text,
    created_at    timestamptz not null,
    changed_at    timestamptz not null,
    last_seen_at  timestamptz,
    primary key (account_id, id),
    check ((role = 'buyer') = (buyer_id is not null)),
    check ((role = 'publisher') = (publisher_id is not null))
);
-- People sign in by e-mail alone.
create unique index app_user_email on app_user (email);

create table session (
    account_id   text not null,
    token_hash   bytea not null check (length(token_hash) = 32),
    user_id      text not null,
    csrf         text not null,
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    primary key (account_id, token_hash),
    foreign key (account_id, user_id) references app_user
);
create unique index session_token on session (token_hash);
create index session_of_user on session (account_id, user_id);

create table api_key (
    account_id   text not null references account,
    id           text not null,
    name         text not null,
    prefix       text not null,
    token_hash   bytea not null check (length(token_hash) = 32),
    scopes       text[] not null,
    created_by   text not null,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    primary key (account_id, id)
);
create unique index api_key_token on api_key (token_hash);

create table sign_in_link (
    account_id text not null,
    token_hash bytea not null check (length(token_hash) = 32),
    user_id    text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz,
    primary key (account_id, token_hash),
    foreign key (account_id, user_id) references app_user
);
create unique index sign_in_link_token on sign_in_link (token_hash);

-- Attempts are counted before it is known whose account it is, so `account_id` may be empty.
create table sign_in_attempt (
    account_id text not null default '',
    subject    text not null,
    started_at timestamptz not null,
    attempts   integer not null,
    primary key (account_id, subject)
);
create index sign_in_attempt_started on sign_in_attempt (started_at);

create table idempotency_key (
    account_id   text not null,
    key          text not null check (length(key) between 1 and 255),
    request_hash bytea not null,
    created_at   timestamptz not null,
    lease_until  timestamptz not null,
    -- who holds it: the answer is only taken from the last one that began
    turn         integer not null default 1,
    status       smallint,
    response     bytea,
    primary key (account_id, key),
    check ((status is null) = (response is null))
);
create index idempotency_key_created on idempotency_key (created_at);

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger config_revision_append_only before update or delete on config_revision
    for each row execute function refuse_rewriting();
create trigger flow_version_append_only before update or delete on flow_version
    for each row execute function refuse_rewriting();
create trigger audit_append_only before update or delete on audit
    for each row execute function refuse_rewriting();

-- New versions of these campaigns' plans, where something that they are made of has another revision.
create function make_plans(p_account text, p_campaigns text[], p_catalog_version bigint, p_now timestamptz)
returns table (campaign_id text, version integer) language sql as $$
    with wanted as (
        select c.id as campaign_id, 'campaign'::text as kind, c.id, c.revision from config c
        where c.account_id = p_account and c.kind = 'campaign' and c.id = any(p_campaigns)
        union all
        select t.id, o.kind, o.id, o.revision from unnest(p_campaigns) t(id)
            join config_reference r on r.account_id = p_account and r.kind = 'campaign' and r.id = t.id
                and r.to_kind = 'offer'
            join config o on o.account_id = p_account and o.kind = 'offer' and o.id = r.to_id
        union
        select t.id, b.kind, b.id, b.revision from unnest(p_campaigns) t(id)
            join config_reference r on r.account_id = p_account and r.kind = 'campaign' and r.id = t.id
                and r.to_kind = 'offer'
            join config_reference s on s.account_id = p_account and s.kind = 'offer' and s.id = r.to_id
                and s.to_kind = 'buyer'
            join config b on b.account_id = p_account and b.kind = 'buyer' and b.id = s.to_id
        union all
        -- Any publisher may bring a call by its tags, and calls run over any connection.
        select t.id, p.kind, p.id, p.revision from unnest(p_campaigns) t(id)
            join config p on p.account_id = p_account and p.kind in ('account', 'publisher', 'connection')
        union all
        select t.id, 'flow_version', r.to_id, max(v.version) from unnest(p_campaigns) t(id)
            join config_reference r on r.account_id = p_account and r.kind = 'campaign' and r.id = t.id
                and r.to_kind = 'flow'
            join flow_version v on v.account_id = p_account and v.flow_id = r.to_id
        group by t.id, r.to_id
    ), parts as (
        select w.campaign_id, array_agg(w.kind order by w.kind collate "C", w.id collate "C") as kinds,
            array_agg(w.id order by w.kind collate "C", w.id collate "C") as ids,
            array_agg(w.revision order by w.kind collate "C", w.id collate "C") as revisions
        from wanted w group by w.campaign_id
    )
    insert into plan (account_id, campaign_id, version, kinds, ids, revisions, made_at, catalog_version)
    select p_account, p.campaign_id, coalesce(l.version, 0) + 1, p.kinds, p.ids, p.revisions, p_now,
        p_catalog_version
    from parts p left join lateral (
        select l.* from plan l where l.account_id = p_account and l.campaign_id = p.campaign_id
        order by l.version desc limit 1
    ) l on true
    where l.version is null or (l.kinds, l.ids, l.revisions) is distinct from (p.kinds, p.ids, p.revisions)
    returning plan.campaign_id, plan.version
$$;
