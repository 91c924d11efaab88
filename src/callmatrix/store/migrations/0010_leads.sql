-- Leads that come by form: their steps, their posts, what they came to, and where they stand in the ledger.

create table lead (
    account_id text not null,
    id text not null,
    version integer not null,
    state text not null,
    test boolean not null,
    channel text not null check (channel in ('form', 'callback')),
    campaign_id text not null,
    plan_version integer not null,
    publisher_id text,
    buyer_id text,
    offer_id text,
    -- the sender's own name for it, once per publisher; `digest` tells whether a repeat says the same
    external_id text,
    digest bytea not null,
    phone text not null,
    phone_state text,
    submitted_at timestamptz not null,
    sold_at timestamptz,
    ended_at timestamptz,
    revenue_micros bigint not null,
    payout_micros bigint not null,
    rejected text not null,
    end_reason text not null,
    review text not null,
    closed boolean not null,
    saved_at timestamptz not null,
    document text not null,
    primary key (account_id, id)
) with (fillfactor = 70);

create unique index lead_external on lead (account_id, coalesce(publisher_id, ''), external_id)
    where external_id is not null;
create index lead_submitted on lead (account_id, submitted_at desc, id desc);
create index lead_phone on lead (account_id, phone, submitted_at desc);
create index lead_open on lead (saved_at) where not closed;
create index lead_campaign on lead (account_id, campaign_id, submitted_at desc);
create index lead_buyer on lead (account_id, buyer_id, submitted_at desc) where buyer_id is not null;
create index lead_publisher on lead (account_id, publisher_id, submitted_at desc)
    where publisher_id is not null;

-- The outbox of leads: read in one order with the events of calls, so that both take their ids from one
-- sequence.
create table lead_event (
    account_id text not null,
    lead_id text not null,
    version integer not null,
    kind text not null,
    -- where the lead stood after it
    state text not null,
    at timestamptz not null,
    document text not null,
    trace text not null,
    commands text not null,
    xid xid8 not null default pg_current_xact_id(),
    id bigint not null default nextval('call_event_id_seq'),
    primary key (account_id, lead_id, version)
);

create index lead_event_outbox on lead_event (xid, id);

create table lead_attempt (
    account_id text not null,
    id text not null,
    lead_id text not null,
    number smallint not null,
    campaign_id text not null,
    offer_id text not null,
    buyer_id text not null,
    publisher_id text,
    state text not null,
    code text not null,
    reserved_at timestamptz not null,
    posted_at timestamptz,
    answered_at timestamptz,
    reference text not null,
    settled boolean not null,
    settlement text,
    primary key (account_id, id)
) with (fillfactor = 80);

create index lead_attempt_lead on lead_attempt (account_id, lead_id, number);
create index lead_attempt_offer on lead_attempt (account_id, offer_id, reserved_at desc);

alter table ledger_transaction add column lead_id text;
alter table ledger_transaction add constraint ledger_transaction_of_one check (call_id is null or lead_id is null);
create index ledger_transaction_lead on ledger_transaction (account_id, lead_id) where lead_id is not null;

-- As before, and for leads.
create or replace function book(p_account text, p_transactions jsonb) returns integer language plpgsql as $$
declare
    t jsonb;
    v_count integer := 0;
    v_funds record;
begin
    for t in select value from jsonb_array_elements(p_transactions) loop
        insert into ledger_transaction (account_id, key, kind, at, call_id, lead_id, rating_revision, reason)
        values (p_account, t->>'key', t->>'kind', (t->>'at')::timestamptz, t->>'call_id', t->>'lead_id',
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

-- Saves one or more steps of a lead in one transaction and round trip.
--
-- p_head: {lead, new, expected_version, campaign_group, events, expected_caller_version?, history?, attempts?,
-- transactions?}. p_documents: the lead, then the event, trace and commands of each step; json, so that they
-- are kept to the letter. Answers 'saved', 'version' (somebody else saved meanwhile), 'caller' (what is known
-- of the phone changed meanwhile), or 'exists' (this lead, or this sender's name for one, is there already).
create function save_lead(p_account text, p_head jsonb, p_documents json) returns text language plpgsql as $$
declare
    l jsonb := p_head->'lead';
    v_lead text := l->>'id';
    v_documents text[];
    v_caller_version integer;
begin
    if p_head ? 'expected_caller_version' then
        insert into caller (account_id, caller, version) values (p_account, l->>'phone', 0)
        on conflict do nothing;
        select version into v_caller_version from caller
        where account_id = p_account and caller = l->>'phone' for update;
        if v_caller_version <> (p_head->>'expected_caller_version')::integer then
            return 'caller';
        end if;
    end if;

    v_documents := array(
        select d.value::text from json_array_elements(p_documents) with ordinality as d order by d.ordinality
    );
    if (p_head->>'new')::boolean then
        insert into lead (account_id, id, version, state, test, channel, campaign_id, plan_version, publisher_id,
            buyer_id, offer_id, external_id, digest, phone, phone_state, submitted_at, sold_at, ended_at,
            revenue_micros, payout_micros, rejected, end_reason, review, closed, saved_at, document)
        select p_account, v_lead, r.version, r.state, r.test, r.channel, r.campaign_id, r.plan_version,
            r.publisher_id, r.buyer_id, r.offer_id, r.external_id, decode(l->>'digest', 'hex'), r.phone,
            r.phone_state, r.submitted_at, r.sold_at, r.ended_at, r.revenue_micros, r.payout_micros, r.rejected,
            r.end_reason, r.review, r.closed, r.saved_at, v_documents[1]
        from jsonb_populate_record(null::lead, l - 'digest') as r
        on conflict do nothing;
        if not found then
            return 'exists';
        end if;
    else
        update lead set
            version = r.version, state = r.state, buyer_id = r.buyer_id, offer_id = r.offer_id,
            sold_at = r.sold_at, ended_at = r.ended_at, revenue_micros = r.revenue_micros,
            payout_micros = r.payout_micros, rejected = r.rejected, end_reason = r.end_reason,
            review = r.review, closed = r.closed, saved_at = r.saved_at, document = v_documents[1]
        from jsonb_populate_record(null::lead, l - 'digest') as r
        where lead.account_id = p_account and lead.id = v_lead
          and lead.version = (p_head->>'expected_version')::integer;
        if not found then
            return 'version';
        end if;
    end if;

    if p_head ? 'expected_caller_version' then
        update caller set version = version + 1 where account_id = p_account and caller = l->>'phone';
        -- A person who sends a form and calls is one and the same: duplicates are judged by both (rule 18).
        insert into caller_history (account_id, caller, call_id, campaign_id, campaign_group, offer_id, buyer_id,
            publisher_id, connected_at, converted_at, paid_at)
        select p_account, r.phone, v_lead, r.campaign_id, p_head->>'campaign_group', r.offer_id, r.buyer_id,
            r.publisher_id, r.sold_at, (p_head->'history'->>'converted_at')::timestamptz,
            (p_head->'history'->>'paid_at')::timestamptz
        from jsonb_populate_record(null::lead, l - 'digest') as r where r.sold_at is not null
        on conflict (account_id, caller, call_id) do update set
            converted_at = excluded.converted_at, paid_at = excluded.paid_at;
    end if;

    insert into lead_event (account_id, lead_id, version, kind, state, at, document, trace, commands)
    select p_account, v_lead, (h.value->>'version')::integer, h.value->>'kind', h.value->>'state',
           (h.value->>'at')::timestamptz, v_documents[3 * h.ordinality - 1], v_documents[3 * h.ordinality],
           v_documents[3 * h.ordinality + 1]
    from jsonb_array_elements(p_head->'events') with ordinality as h;

    if p_head ? 'attempts' then
        insert into lead_attempt
        select (jsonb_populate_record(null::lead_attempt, a.value)).*
        from jsonb_array_elements(p_head->'attempts') as a
        on conflict (account_id, id) do update set
            state = excluded.state, code = excluded.code, posted_at = excluded.posted_at,
            answered_at = excluded.answered_at, reference = excluded.reference, settled = excluded.settled,
            settlement = excluded.settlement;
        insert into rotation (account_id, campaign_id, offer_id, reserved_at, attempt_id)
        select p_account, a.value->>'campaign_id', a.value->>'offer_id',
               (a.value->>'reserved_at')::timestamptz, a.value->>'id'
        from jsonb_array_elements(p_head->'attempts') as a
        where a.value->>'state' = 'posting'
        on conflict (account_id, campaign_id, offer_id) do update set
            reserved_at = greatest(rotation.reserved_at, excluded.reserved_at), attempt_id = excluded.attempt_id;
    end if;

    if p_head ? 'transactions' then
        perform book(p_account, p_head->'transactions');
    end if;
    return 'saved';
end $$;
