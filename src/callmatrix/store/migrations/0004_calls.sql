-- Calls with their append-only events, the caller's history, the ledger, callbacks and jobs.

create table call (
    account_id text not null,
    id text not null,
    version integer not null,
    state text not null,
    test boolean not null,
    campaign_id text not null,
    plan_version integer not null,
    connection_id text,
    carrier_ref text not null,
    number_id text,
    dialed text not null,
    caller text,
    caller_state text,
    publisher_id text,
    buyer_id text,
    offer_id text,
    arrived_at timestamptz not null,
    connected_at timestamptz,
    converted_at timestamptz,
    paid_at timestamptz,
    ended_at timestamptz,
    duration_ms bigint,
    bridged_ms bigint not null,
    revenue_micros bigint not null,
    payout_micros bigint not null,
    cost_micros bigint not null,
    blocked text not null,
    end_reason text not null,
    review text not null,
    disposition text not null,
    tags jsonb not null,
    closed boolean not null,
    saved_at timestamptz not null,
    document text not null,
    primary key (account_id, id)
) with (fillfactor = 70);

create unique index call_carrier on call (account_id, connection_id, carrier_ref) where connection_id is not null;
create index call_arrived on call (account_id, arrived_at desc, id desc);
create index call_caller on call (account_id, caller, arrived_at desc) where caller is not null;
create index call_open on call (account_id, saved_at) where not closed;
create index call_campaign on call (account_id, campaign_id, arrived_at desc);
create index call_buyer on call (account_id, buyer_id, arrived_at desc) where buyer_id is not null;
create index call_publisher on call (account_id, publisher_id, arrived_at desc) where publisher_id is not null;

-- The outbox: readers go by (xid, id), below the oldest transaction still running.
create table call_event (
    account_id text not null,
    call_id text not null,
    version integer not null,
    kind text not null,
    at timestamptz not null,
    document text not null,
    trace text not null,
    commands text not null,
    xid xid8 not null default pg_current_xact_id(),
    id bigint generated always as identity,
    primary key (account_id, call_id, version)
);

create index call_event_outbox on call_event (xid, id);

create table attempt (
    account_id text not null,
    id text not null,
    call_id text not null,
    number smallint not null,
    campaign_id text not null,
    offer_id text,
    buyer_id text,
    publisher_id text,
    state text not null,
    refusal text not null,
    outcome text,
    reserved_at timestamptz not null,
    dialled_at timestamptz,
    answered_at timestamptz,
    accepted_at timestamptz,
    ended_at timestamptz,
    ring_ms bigint not null,
    leg_ms bigint not null,
    bridged_ms bigint not null,
    precision text not null,
    settled boolean not null,
    settlement text,
    primary key (account_id, id)
) with (fillfactor = 80);

create index attempt_call on attempt (account_id, call_id, number);
create index attempt_offer on attempt (account_id, offer_id, reserved_at desc) where offer_id is not null;

-- What duplicates are judged by: earlier calls of a caller that connected (rule 18).
create table caller_history (
    account_id text not null,
    caller text not null,
    call_id text not null,
    campaign_id text not null,
    campaign_group text not null,
    offer_id text,
    buyer_id text,
    publisher_id text,
    connected_at timestamptz not null,
    converted_at timestamptz,
    paid_at timestamptz,
    primary key (account_id, caller, call_id)
);

-- `version` grows with every settlement of this caller: whoever settles says which history was read.
create table caller (
    account_id text not null,
    caller text not null,
    version integer not null,
    primary key (account_id, caller)
) with (fillfactor = 70);

-- Round robin: when each offer was last reserved in a campaign (rule 6).
create table rotation (
    account_id text not null,
    campaign_id text not null,
    offer_id text not null,
    reserved_at timestamptz not null,
    attempt_id text not null,
    primary key (account_id, campaign_id, offer_id)
) with (fillfactor = 70);

create table ledger_transaction (
    account_id text not null,
    key text not null,
    kind text not null,
    at timestamptz not null,
    call_id text,
    rating_revision integer not null,
    reason text not null,
    xid xid8 not null default pg_current_xact_id(),
    primary key (account_id, key)
);

create index ledger_transaction_call on ledger_transaction (account_id, call_id) where call_id is not null;
create index ledger_transaction_at on ledger_transaction (account_id, at desc, key);

create table posting (
    account_id text not null,
    transaction_key text not null,
    line smallint not null,
    account text not null,
    owner_id text not null,
    amount_micros bigint not null,
    at timestamptz not null,
    primary key (account_id, transaction_key, line),
    foreign key (account_id, transaction_key) references ledger_transaction (account_id, key)
);

create index posting_owner on posting (account_id, account, owner_id, at);

create function posting_sums_to_zero() returns trigger language plpgsql as $$
declare
    v_sum numeric;
begin
    select sum(amount_micros) into v_sum from posting
    where account_id = new.account_id and transaction_key = new.transaction_key;
    if v_sum <> 0 then
        raise exception 'postings of % sum to %, not zero', new.transaction_key, v_sum
            using errcode = 'check_violation';
    end if;
    return null;
end $$;

create constraint trigger posting_balanced after insert on posting
    deferrable initially deferred for each row execute function posting_sums_to_zero();

create function ledger_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only: write a correcting transaction'
        using errcode = 'restrict_violation';
end $$;

create trigger posting_append_only before update or delete on posting
    for each row execute function ledger_is_append_only();
create trigger ledger_transaction_append_only before update or delete on ledger_transaction
    for each row execute function ledger_is_append_only();

-- One carrier callback: its stored reply, or the lease of whoever is answering it.
create table callback (
    account_id text not null,
    connection_id text not null,
    carrier_ref text not null,
    key text not null,
    call_id text not null,
    received_at timestamptz not null,
    lease_until timestamptz not null,
    reply bytea,
    primary key (account_id, connection_id, carrier_ref, key)
) with (fillfactor = 70);

create table job (
    account_id text not null,
    id text not null,
    kind text not null,
    dedupe_key text not null,
    payload jsonb not null,
    run_at timestamptz not null,
    created_at timestamptz not null,
    attempts integer not null default 0,
    leased_until timestamptz,
    done_at timestamptz,
    last_error text,
    primary key (account_id, id),
    unique (account_id, dedupe_key)
) with (fillfactor = 70);

create index job_due on job (run_at) where done_at is null;

-- Writes ledger transactions that are not there yet, moves buyers' funds with them, and returns how many.
create function book(p_account text, p_transactions jsonb) returns integer language plpgsql as $$
declare
    t jsonb;
    v_count integer := 0;
    v_funds record;
begin
    for t in select value from jsonb_array_elements(p_transactions) loop
        insert into ledger_transaction (account_id, key, kind, at, call_id, rating_revision, reason)
        values (p_account, t->>'key', t->>'kind', (t->>'at')::timestamptz, t->>'call_id',
                coalesce((t->>'rating_revision')::integer, 0), coalesce(t->>'reason', ''))
        on conflict do nothing;
        if not found then
            continue;
        end if;
        v_count := v_count + 1;
        insert into posting (account_id, transaction_key, line, account, owner_id, amount_micros, at)
        select p_account, t->>'key', p.ordinality, p.value->>'account', p.value->>'owner_id',
               (p.value->>'micros')::bigint, (t->>'at')::timestamptz
        from jsonb_array_elements(t->'postings') with ordinality as p;
        for v_funds in
            select p.value->>'owner_id' as buyer_id, sum((p.value->>'micros')::bigint)::bigint as owed
            from jsonb_array_elements(t->'postings') as p
            where p.value->>'account' = 'buyer' group by 1 order by 1
        loop
            perform funds_add(p_account, v_funds.buyer_id, -v_funds.owed);
        end loop;
    end loop;
    return v_count;
end $$;

-- Saves one or more steps of a call in one transaction and round trip.
--
-- p_head: {call, new, expected_version, campaign_group, events, callback?, expected_caller_version?, history?,
-- attempts?, transactions?, jobs?}; of a call that is not new, `call` names only what may change, and what
-- the caller's history says. p_documents: the call, then the event, trace and commands of each step; json, so
-- that they are kept to the letter. Answers 'saved', 'repeat' (this callback is known), 'version' (somebody else saved meanwhile),
-- 'caller' (the caller's history changed meanwhile), or 'exists' (this carrier reference is another call).
create function save_step(
    p_account text,
    p_head jsonb,
    p_documents json,
    p_reply bytea
) returns text language plpgsql as $$
declare
    c jsonb := p_head->'call';
    cb jsonb := p_head->'callback';
    v_call text := c->>'id';
    v_documents text[];
    v_caller_version integer;
begin
    -- Every refusal comes before the first write that matters, so that no rollback is needed. Two at once
    -- with the same callback meet at the call's row: the later one is told 'version' or 'exists'.
    if cb is not null and (cb->>'first')::boolean then
        perform 1 from callback
        where account_id = p_account and connection_id = cb->>'connection_id'
          and carrier_ref = cb->>'carrier_ref' and key = cb->>'key';
        if found then
            return 'repeat';
        end if;
    end if;

    if p_head ? 'expected_caller_version' then
        insert into caller (account_id, caller, version) values (p_account, c->>'caller', 0)
        on conflict do nothing;
        select version into v_caller_version from caller
        where account_id = p_account and caller = c->>'caller' for update;
        if v_caller_version <> (p_head->>'expected_caller_version')::integer then
            return 'caller';
        end if;
    end if;

    v_documents := array(
        select d.value::text from json_array_elements(p_documents) with ordinality as d order by d.ordinality
    );
    if (p_head->>'new')::boolean then
        insert into call (account_id, id, version, state, test, campaign_id, plan_version, connection_id,
            carrier_ref, number_id, dialed, caller, caller_state, publisher_id, buyer_id, offer_id, arrived_at,
            connected_at, converted_at, paid_at, ended_at, duration_ms, bridged_ms, revenue_micros,
            payout_micros, cost_micros, blocked, end_reason, review, disposition, tags, closed, saved_at,
            document)
        select p_account, v_call, r.version, r.state, r.test, r.campaign_id, r.plan_version, r.connection_id,
            r.carrier_ref, r.number_id, r.dialed, r.caller, r.caller_state, r.publisher_id, r.buyer_id,
            r.offer_id, r.arrived_at, r.connected_at, r.converted_at, r.paid_at, r.ended_at, r.duration_ms,
            r.bridged_ms, r.revenue_micros, r.payout_micros, r.cost_micros, r.blocked, r.end_reason, r.review,
            r.disposition, r.tags, r.closed, r.saved_at, v_documents[1]
        from jsonb_populate_record(null::call, c) as r
        on conflict do nothing;
        if not found then
            return 'exists';
        end if;
    else
        update call set
            version = r.version, state = r.state, caller_state = r.caller_state, buyer_id = r.buyer_id,
            offer_id = r.offer_id, connected_at = r.connected_at, converted_at = r.converted_at,
            paid_at = r.paid_at, ended_at = r.ended_at, duration_ms = r.duration_ms,
            bridged_ms = r.bridged_ms, revenue_micros = r.revenue_micros, payout_micros = r.payout_micros,
            cost_micros = r.cost_micros, end_reason = r.end_reason, review = r.review,
            disposition = r.disposition, closed = r.closed, saved_at = r.saved_at, document = v_documents[1]
        from jsonb_populate_record(null::call, c) as r
        where call.account_id = p_account and call.id = v_call
          and call.version = (p_head->>'expected_version')::integer;
        if not found then
            return 'version';
        end if;
    end if;

    if cb is not null and (cb->>'first')::boolean then
        insert into callback (account_id, connection_id, carrier_ref, key, call_id, received_at, lease_until, reply)
        values (p_account, cb->>'connection_id', cb->>'carrier_ref', cb->>'key', v_call,
                (cb->>'at')::timestamptz, (cb->>'lease_until')::timestamptz, p_reply);
    end if;

    if p_head ? 'expected_caller_version' then
        update caller set version = version + 1 where account_id = p_account and caller = c->>'caller';
        insert into caller_history (account_id, caller, call_id, campaign_id, campaign_group, offer_id, buyer_id,
            publisher_id, connected_at, converted_at, paid_at)
        select p_account, c->>'caller', v_call, c->>'campaign_id', p_head->>'campaign_group', r.offer_id,
            r.buyer_id, r.publisher_id, r.connected_at, (p_head->'history'->>'converted_at')::timestamptz,
            (p_head->'history'->>'paid_at')::timestamptz
        from jsonb_populate_record(null::call, c) as r where r.connected_at is not null
        on conflict (account_id, caller, call_id) do update set
            offer_id = excluded.offer_id, buyer_id = excluded.buyer_id, connected_at = excluded.connected_at,
            converted_at = excluded.converted_at, paid_at = excluded.paid_at;
    end if;

    insert into call_event (account_id, call_id, version, kind, at, document, trace, commands)
    select p_account, v_call, (h.value->>'version')::integer, h.value->>'kind',
           (h.value->>'at')::timestamptz, v_documents[3 * h.ordinality - 1], v_documents[3 * h.ordinality],
           v_documents[3 * h.ordinality + 1]
    from jsonb_array_elements(p_head->'events') with ordinality as h;

    if p_head ? 'attempts' then
        insert into attempt
        select (jsonb_populate_record(null::attempt, a.value)).*
        from jsonb_array_elements(p_head->'attempts') as a
        on conflict (account_id, id) do update set
            state = excluded.state, refusal = excluded.refusal, outcome = excluded.outcome,
            dialled_at = excluded.dialled_at, answered_at = excluded.answered_at,
            accepted_at = excluded.accepted_at, ended_at = excluded.ended_at, ring_ms = excluded.ring_ms,
            leg_ms = excluded.leg_ms, bridged_ms = excluded.bridged_ms, precision = excluded.precision,
            settled = excluded.settled, settlement = excluded.settlement;
        insert into rotation (account_id, campaign_id, offer_id, reserved_at, attempt_id)
        select p_account, a.value->>'campaign_id', a.value->>'offer_id',
               (a.value->>'reserved_at')::timestamptz, a.value->>'id'
        from jsonb_array_elements(p_head->'attempts') as a
        where a.value->>'state' = 'dialling' and a.value->>'offer_id' is not null
          -- A test call touches no rotation (rule 2).
          and not (select k.test from call k where k.account_id = p_account and k.id = v_call)
        on conflict (account_id, campaign_id, offer_id) do update set
            reserved_at = greatest(rotation.reserved_at, excluded.reserved_at), attempt_id = excluded.attempt_id;
    end if;

    if p_head ? 'transactions' then
        perform book(p_account, p_head->'transactions');
    end if;

    if p_head ? 'jobs' then
        insert into job (account_id, id, kind, dedupe_key, payload, run_at, created_at)
        select p_account, j.value->>'id', j.value->>'kind', j.value->>'dedupe_key', j.value->'payload',
               (j.value->>'run_at')::timestamptz, (j.value->>'created_at')::timestamptz
        from jsonb_array_elements(p_head->'jobs') as j
        on conflict (account_id, dedupe_key) do nothing;
    end if;

    if cb is not null and not (cb->>'first')::boolean and p_reply is not null then
        update callback set reply = p_reply
        where account_id = p_account and connection_id = cb->>'connection_id'
          and carrier_ref = cb->>'carrier_ref' and key = cb->>'key' and reply is null;
    end if;
    return 'saved';
end $$;

create table unknown_call (
    account_id text not null,
    connection_id text not null,
    carrier_ref text not null,
    dialed text not null,
    caller text,
    at timestamptz not null,
    primary key (account_id, connection_id, carrier_ref)
);

create index unknown_call_at on unknown_call (account_id, at desc);

create index callback_received on callback (received_at);
create index job_done on job (done_at) where done_at is not null;
