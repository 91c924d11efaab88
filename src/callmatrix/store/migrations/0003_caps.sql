-- Capacity: what each owner allows, what is used of it, and who holds it.
--
-- An owner is written '<kind>:<id>'. Locks are taken in one order: the account's gate (shared; exclusive
-- while limits change), owners by name, buyers' funds by name. Whoever changes an owner's caps or windows
-- holds its row's lock. A reservation counts in every window of its owners that covers `reserved_at`,
-- whether or not the cap stood when it was made, so every counter here can be told from `reservation`.

create table cap_owner (
    account_id      text not null,
    owner           text collate "C" not null check (length(owner) between 3 and 200),
    status          text not null default 'open' check (status in ('open', 'paused', 'closed', 'blocked')),
    concurrency     integer check (concurrency >= 0),
    -- how many reservations are held; above `live_ceiling` never (the limit, or more where it was lowered)
    live            integer not null default 0 check (live >= 0),
    live_ceiling    integer,
    spacing_s       integer check (spacing_s >= 0),
    last_granted_at timestamptz,
    time_zone       text not null check (length(time_zone) between 1 and 64),
    -- 0 is Monday
    week_starts_on  smallint not null check (week_starts_on between 0 and 6),
    when_capped     text not null default 'block' check (when_capped in ('block', 'unpaid')),
    cap_count       smallint not null default 0 check (cap_count >= 0),
    primary key (account_id, owner),
    check (live <= live_ceiling)
) with (fillfactor = 50);

-- Amounts are units or, for revenue and payout, micros.
create table cap (
    account_id   text not null,
    owner        text collate "C" not null,
    metric       text collate "C" not null
        check (metric in ('attempt', 'connect', 'conversion', 'paid', 'revenue', 'payout')),
    window_kind  text collate "C" not null check (window_kind in ('hour', 'day', 'week', 'month', 'total')),
    limit_amount bigint not null check (limit_amount >= 0),
    primary key (account_id, owner, metric, window_kind),
    foreign key (account_id, owner) references cap_owner
);

create table cap_window (
    account_id   text not null,
    owner        text collate "C" not null,
    metric       text collate "C" not null,
    window_kind  text collate "C" not null,
    starts_at    timestamptz not null,
    ends_at      timestamptz not null,
    limit_amount bigint not null check (limit_amount >= 0),
    ceiling      bigint not null,
    used         bigint not null default 0 check (used >= 0),
    -- what came later than the reservation and went beyond the ceiling
    overage      bigint not null default 0 check (overage >= 0),
    -- by the end first: the windows open at an instant lie together, however long the history
    primary key (account_id, owner, ends_at, metric, window_kind),
    foreign key (account_id, owner) references cap_owner,
    check (starts_at < ends_at),
    check (used <= ceiling)
) with (fillfactor = 50);

-- A buyer without a row has no funds.
create table buyer_funds (
    account_id          text not null,
    buyer_id            text collate "C" not null,
    -- paid ahead (positive) or owed to us (negative)
    balance_micros      bigint not null default 0,
    held_micros         bigint not null default 0 check (held_micros >= 0),
    credit_limit_micros bigint not null default 0,
    primary key (account_id, buyer_id)
) with (fillfactor = 50);

create table reservation (
    account_id     text not null,
    attempt_id     text collate "C" not null check (length(attempt_id) between 1 and 200),
    call_id        text,
    campaign_id    text,
    offer_id       text,
    buyer_id       text,
    publisher_id   text,
    state          text not null check (state in ('held', 'denied', 'settled', 'released', 'expired')),
    reserved_at    timestamptz not null,
    expires_at     timestamptz not null,
    ended_at       timestamptz,
    pays_publisher boolean not null default true,
    -- what it counts now: while held the most it may become
    connects       smallint not null default 0,
    conversions    smallint not null default 0,
    paids          smallint not null default 0,
    revenue_micros bigint not null default 0,
    payout_micros  bigint not null default 0,
    -- held of the buyer's funds: the call's maximum, also where conversion comes later
    funds_micros   bigint not null default 0,
    -- rating revisions that came after the end and are counted above
    revisions      integer[],
    -- the answer to a claim that was denied
    refusal        jsonb,
    primary key (account_id, attempt_id),
    check ((state = 'denied') = (refusal is not null)),
    check ((state = 'held') = (ended_at is null))
);
create index reservation_expiry on reservation (account_id, expires_at) where state = 'held';
-- A cap that is added counts what its owner reserved in the window before.
create index reservation_by_campaign on reservation (account_id, campaign_id, reserved_at) where state <> 'denied';
create index reservation_by_offer on reservation (account_id, offer_id, reserved_at) where state <> 'denied';
create index reservation_by_buyer on reservation (account_id, buyer_id, reserved_at) where state <> 'denied';
create index reservation_by_publisher on reservation (account_id, publisher_id, reserved_at) where state <> 'denied';
create index reservation_by_time on reservation using brin (reserved_at);

-- The gate of an account's capacity, for advisory locks.
create function capacity_gate(p_account text) returns bigint language sql immutable
    return hashtextextended(p_account, 4711);

-- What one or several reservations count under a metric.
create function cap_amount(
    p_metric text, p_attempts bigint, p_connects bigint, p_conversions bigint, p_paids bigint,
    p_revenue bigint, p_payout bigint
) returns bigint language sql immutable
    return case p_metric
        when 'attempt' then p_attempts when 'connect' then p_connects when 'conversion' then p_conversions
        when 'paid' then p_paids when 'revenue' then p_revenue when 'payout' then p_payout end;

-- The owners whose limits a claim meets, ranked in the order in which they refuse.
create function owners_of(
    p_account text, p_campaign text, p_publisher text, p_buyer text, p_offer text
) returns table (rank integer, owner text) language sql immutable as $$
    select v.rank, v.owner
    from (values
        (1, 'account:' || p_account),
        (2, 'campaign:' || p_campaign),
        (3, 'publisher:' || p_publisher),
        (4, 'publisher_in_campaign:' || p_publisher || '/' || p_campaign),
        (5, 'buyer:' || p_buyer),
        (6, 'offer:' || p_offer),
        (7, 'offer_in_campaign:' || p_offer || '/' || p_campaign)
    ) v(rank, owner)
    where v.owner is not null
$$;

-- One claim, with every owner's row locked and every window there: refuse it whole or book it whole.
create function reserve_one(
    p_account text, p_now timestamptz, p_attempt_id text, p_call_id text, p_campaign_id text, p_offer_id text,
    p_buyer_id text, p_publisher_id text, p_conversions bigint, p_paids bigint, p_revenue bigint, p_payout bigint,
    p_funds bigint, p_expires_at timestamptz,
    out verdict text, out pays_publisher boolean, out refusal jsonb
) language plpgsql as $$
#variable_conflict use_column
declare
    v_owners text[];
    v_pays boolean;
begin
    select r.state, r.pays_publisher, r.refusal into verdict, pays_publisher, refusal
    from reservation r where r.account_id = p_account and r.attempt_id = p_attempt_id;
    if found then
        return;
    end if;

    select array_agg(o.owner) into v_owners
    from owners_of(p_account, p_campaign_id, p_publisher_id, p_buyer_id, p_offer_id) o
    join cap_owner c on c.account_id = p_account and c.owner = o.owner;

    with asked as (
        select o.rank, c.* from owners_of(p_account, p_campaign_id, p_publisher_id, p_buyer_id, p_offer_id) o
        join cap_owner c on c.account_id = p_account and c.owner = o.owner
    ), broken as (
        select a.rank, 1 as step, a.owner, '' as metric, '' as window_kind, false as unpaid,
            case when a.status <> 'open' then a.status when a.live >= a.concurrency then 'concurrency_full'
                else 'spacing' end as code,
            case when a.status <> 'open' then null when a.live >= a.concurrency then a.concurrency
                else a.spacing_s end::bigint as limit_amount,
            case when a.status <> 'open' then null when a.live >= a.concurrency then a.live
                else greatest(0, floor(extract(epoch from p_now - a.last_granted_at))) end::bigint as used
        from asked a
        where a.status <> 'open' or a.live >= a.concurrency
            or p_now < a.last_granted_at + make_interval(secs => a.spacing_s)
        union all
        select a.rank, 2, w.owner, w.metric, w.window_kind,
            a.rank in (3, 4) and a.when_capped = 'unpaid' and w.metric in ('paid', 'payout'),
            'cap_full', w.limit_amount, w.used
        from asked a
            join cap_window w on w.account_id = p_account and w.owner = a.owner and w.ends_at > p_now
                and w.starts_at <= p_now,
            lateral (select cap_amount(w.metric, 1, 1, p_conversions, p_paids, p_revenue, p_payout)) n(amount)
        where n.amount > 0 and w.used + n.amount > w.limit_amount
        union all
        select 5, 3, 'buyer:' || p_buyer_id, '', '', false, 'no_funds', coalesce(f.total, 0), coalesce(f.held, 0)
        from (select) one left join (
            select b.balance_micros + b.credit_limit_micros as total, b.held_micros as held
            from buyer_funds b where b.account_id = p_account and b.buyer_id = p_buyer_id
        ) f on true
        where p_buyer_id is not null and coalesce(f.total - f.held, 0) < p_funds
    ), placed as (
        select b.*, row_number() over (order by b.rank, b.step, b.metric, b.window_kind) as place from broken b
    ), softened as (
        select min(place) as place from placed where unpaid
    )
    -- Past the publisher that goes unpaid nobody is paid, so nothing later is asked for it.
    select f.place is null, (
        select jsonb_build_object('code', p.code, 'owner', p.owner, 'metric', p.metric, 'window', p.window_kind,
            'limit', p.limit_amount, 'used', p.used)
        from placed p
        where not p.unpaid and (f.place is null or p.place < f.place or p.metric not in ('paid', 'payout'))
        order by p.place limit 1
    ) into v_pays, refusal
    from softened f;

    if refusal is not null then
        verdict := 'denied';
        insert into reservation (account_id, attempt_id, call_id, campaign_id, offer_id, buyer_id, publisher_id,
            state, reserved_at, expires_at, ended_at, refusal)
        values (p_account, p_attempt_id, p_call_id, p_campaign_id, p_offer_id, p_buyer_id, p_publisher_id,
            'denied', p_now, p_expires_at, p_now, refusal);
        return;
    end if;
    verdict := 'held';
    pays_publisher := v_pays;
    if not v_pays then
        p_paids := 0;
        p_payout := 0;
    end if;
    update cap_owner c set live = c.live + 1, last_granted_at = greatest(c.last_granted_at, p_now)
    where c.account_id = p_account and c.owner = any(v_owners);
    update cap_window w
    set used = w.used + cap_amount(w.metric, 1, 1, p_conversions, p_paids, p_revenue, p_payout)
    where w.account_id = p_account and w.owner = any(v_owners) and w.ends_at > p_now and w.starts_at <= p_now
        and cap_amount(w.metric, 1, 1, p_conversions, p_paids, p_revenue, p_payout) > 0;
    update buyer_funds b set held_micros = b.held_micros + p_funds
    where b.account_id = p_account and b.buyer_id = p_buyer_id and p_funds > 0;
    insert into reservation (account_id, attempt_id, call_id, campaign_id, offer_id, buyer_id, publisher_id,
        state, reserved_at, expires_at, pays_publisher, connects, conversions, paids, revenue_micros,
        payout_micros, funds_micros)
    values (p_account, p_attempt_id, p_call_id, p_campaign_id, p_offer_id, p_buyer_id, p_publisher_id,
        'held', p_now, p_expires_at, v_pays, 1, p_conversions, p_paids, p_revenue, p_payout, p_funds);
end $$;

-- Reserve for a batch of claims in their order; a repeated attempt gets its stored answer. Verdicts: the
-- reservation's state; or, for the whole batch and with nothing changed, 'stale' (the account has a newer
-- configuration than the asker) or one 'window_missing' for each cap without a row that covers p_now.
-- p_conversions to p_payouts are needs; p_funds is what the buyer must be good for.
create function reserve_batch(
    p_account text, p_now timestamptz, p_catalog_version bigint, p_attempt_ids text[], p_call_ids text[],
    p_campaign_ids text[], p_offer_ids text[], p_buyer_ids text[], p_publisher_ids text[], p_conversions bigint[],
    p_paids bigint[], p_revenues bigint[], p_payouts bigint[], p_funds bigint[], p_expires_at timestamptz[]
) returns table (attempt_id text, verdict text, pays_publisher boolean, refusal jsonb)
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_owners text[];
    v_claims bigint[];
    v_conversions bigint[];
    v_paids bigint[];
    v_revenues bigint[];
    v_payouts bigint[];
    v_caps bigint;
    v_windows bigint;
    v_tight boolean;
    v_tight_window boolean;
    v_funded text[];
    v_tight_funds boolean;
    v_number integer;
begin
    perform pg_advisory_xact_lock_shared(capacity_gate(p_account));
    if (select a.catalog_version > p_catalog_version from account a where a.account_id = p_account) then
        return query select t.id, 'stale'::text, null::boolean, null::jsonb from unnest(p_attempt_ids) t(id);
        return;
    end if;

    select array_agg(l.owner), array_agg(l.claims), array_agg(l.conversions), array_agg(l.paids),
        array_agg(l.revenue), array_agg(l.payout), coalesce(sum(l.cap_count), 0),
        coalesce(bool_or(l.status <> 'open' or l.live + l.claims > l.concurrency or l.spacing_s is not null
            and (l.claims > 1 or p_now < l.last_granted_at + make_interval(secs => l.spacing_s))), false)
    into v_owners, v_claims, v_conversions, v_paids, v_revenues, v_payouts, v_caps, v_tight
    from (
        select o.*, d.claims, d.conversions, d.paids, d.revenue, d.payout
        from (
            select w.owner collate "C" as owner, count(*) as claims, sum(c.conversions)::bigint as conversions,
                sum(c.paids)::bigint as paids, sum(c.revenue)::bigint as revenue, sum(c.payout)::bigint as payout
            from unnest(p_campaign_ids, p_publisher_ids, p_buyer_ids, p_offer_ids, p_conversions, p_paids,
                    p_revenues, p_payouts)
                    c(campaign_id, publisher_id, buyer_id, offer_id, conversions, paids, revenue, payout),
                owners_of(p_account, c.campaign_id, c.publisher_id, c.buyer_id, c.offer_id) w
            group by 1
        ) d
        join cap_owner o on o.account_id = p_account and o.owner = d.owner
        order by o.owner
        for update of o
    ) l;

    -- A new statement, so that it sees what the former holders of the locks have committed.
    select count(*), coalesce(bool_or(n.amount > 0 and w.used + n.amount > w.limit_amount), false)
    into v_windows, v_tight_window
    from unnest(v_owners, v_claims, v_conversions, v_paids, v_revenues, v_payouts)
            d(owner, claims, conversions, paids, revenue, payout)
        join cap_window w on w.account_id = p_account and w.owner = d.owner and w.ends_at > p_now
            and w.starts_at <= p_now,
        lateral (select cap_amount(w.metric, d.claims, d.claims, d.conversions, d.paids, d.revenue, d.payout)
            ) n(amount);
    if v_windows <> v_caps then
        return query
            select ''::text, 'window_missing'::text, null::boolean, to_jsonb(c.owner)
            from cap c where c.account_id = p_account and c.owner = any(v_owners) and not exists (
                select from cap_window w where w.account_id = p_account and w.owner = c.owner
                    and w.ends_at > p_now and w.starts_at <= p_now and w.metric = c.metric
                    and w.window_kind = c.window_kind);
        return;
    end if;

    select array_agg(l.buyer_id), coalesce(bool_or(l.balance_micros + l.credit_limit_micros - l.held_micros < l.funds), false)
    into v_funded, v_tight_funds
    from (
        select f.*, d.funds
        from (
            select c.buyer_id collate "C" as buyer_id, sum(c.funds)::bigint as funds
            from unnest(p_buyer_ids, p_funds) c(buyer_id, funds) where c.buyer_id is not null group by 1
        ) d
        join buyer_funds f on f.account_id = p_account and f.buyer_id = d.buyer_id
        order by f.buyer_id
        for update of f
    ) l;

    if v_tight or v_tight_window or v_tight_funds
        or exists (
            select from unnest(p_buyer_ids, p_funds) c(buyer_id, funds)
            where c.funds > 0 and c.buyer_id <> all(coalesce(v_funded, '{}')))
        or exists (
            select from reservation r where r.account_id = p_account and r.attempt_id = any(p_attempt_ids))
        or (select count(distinct t.id) from unnest(p_attempt_ids) t(id)) < cardinality(p_attempt_ids)
    then
        for v_number in 1 .. cardinality(p_attempt_ids) loop
            return query
                select p_attempt_ids[v_number], one.verdict, one.pays_publisher, one.refusal
                from reserve_one(p_account, p_now, p_attempt_ids[v_number], p_call_ids[v_number],
                    p_campaign_ids[v_number], p_offer_ids[v_number], p_buyer_ids[v_number],
                    p_publisher_ids[v_number], p_conversions[v_number], p_paids[v_number], p_revenues[v_number],
                    p_payouts[v_number], p_funds[v_number], p_expires_at[v_number]) one;
        end loop;
        return;
    end if;

    -- There is room for all of them together, so for each one after the others.
    update cap_owner o set live = o.live + d.claims, last_granted_at = greatest(o.last_granted_at, p_now)
    from unnest(v_owners, v_claims) d(owner, claims)
    where o.account_id = p_account and o.owner = d.owner;
    update cap_window w
    set used = w.used
        + cap_amount(w.metric, d.claims, d.claims, d.conversions, d.paids, d.revenue, d.payout)
    from unnest(v_owners, v_claims, v_conversions, v_paids, v_revenues, v_payouts)
        d(owner, claims, conversions, paids, revenue, payout)
    where w.account_id = p_account and w.owner = d.owner and w.ends_at > p_now and w.starts_at <= p_now
        and cap_amount(w.metric, d.claims, d.claims, d.conversions, d.paids, d.revenue, d.payout) > 0;
    if v_funded is not null then
        update buyer_funds f set held_micros = f.held_micros + d.funds
        from (
            select c.buyer_id, sum(c.funds)::bigint as funds
            from unnest(p_buyer_ids, p_funds) c(buyer_id, funds) where c.funds > 0 group by 1
        ) d
        where f.account_id = p_account and f.buyer_id = d.buyer_id;
    end if;
    insert into reservation (account_id, attempt_id, call_id, campaign_id, offer_id, buyer_id, publisher_id,
        state, reserved_at, expires_at, connects, conversions, paids, revenue_micros, payout_micros, funds_micros)
    select p_account, c.attempt_id, c.call_id, c.campaign_id, c.offer_id, c.buyer_id, c.publisher_id,
        'held', p_now, c.expires_at, 1, c.conversions, c.paids, c.revenue, c.payout,
        case when c.buyer_id is null then 0 else c.funds end
    from unnest(p_attempt_ids, p_call_ids, p_campaign_ids, p_offer_ids, p_buyer_ids, p_publisher_ids,
        p_conversions, p_paids, p_revenues, p_payouts, p_funds, p_expires_at)
        c(attempt_id, call_id, campaign_id, offer_id, buyer_id, publisher_id, conversions, paids, revenue, payout,
        funds, expires_at);
    return query select t.id, 'held'::text, true, null::jsonb from unnest(p_attempt_ids) t(id);
end $$;

-- End held reservations, at most one row of each attempt in the arrays: what was held and not used goes back,
-- what was used beyond the hold fills the cap to its limit and is overage from there. Returns who was held.
create function end_batch(
    p_account text, p_now timestamptz, p_swept boolean, p_attempt_ids text[], p_connects bigint[],
    p_conversions bigint[], p_paids bigint[], p_revenues bigint[], p_payouts bigint[]
) returns setof text
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_held text[];
    v_met text[];
begin
    perform pg_advisory_xact_lock_shared(capacity_gate(p_account));
    select array_agg(l.attempt_id) into v_held
    from (
        select r.attempt_id from reservation r
        where r.account_id = p_account and r.attempt_id = any(p_attempt_ids) and r.state = 'held'
        order by r.attempt_id
        for update
    ) l;

    -- A claim that is still on its way when its attempt is over must not be granted any more.
    if not p_swept then
        insert into reservation (account_id, attempt_id, state, reserved_at, expires_at, ended_at)
        select p_account, t.id, 'released', p_now, p_now, p_now
        from unnest(p_attempt_ids) t(id)
        where t.id <> all(coalesce(v_held, '{}')) and not exists (
            select from reservation r where r.account_id = p_account and r.attempt_id = t.id);
    end if;
    if v_held is null then
        return;
    end if;

    select array_agg(l.owner) into v_met
    from (
        select c.owner
        from (
            select distinct o.owner collate "C" as owner
            from reservation r, owners_of(p_account, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) o
            where r.account_id = p_account and r.attempt_id = any(v_held)
        ) d
        join cap_owner c on c.account_id = p_account and c.owner = d.owner
        order by c.owner
        for update of c
    ) l;

    update cap_window w
    set used = w.used - t.unused + least(t.beyond, greatest(0, w.limit_amount - w.used + t.unused)),
        overage = w.overage + t.beyond - least(t.beyond, greatest(0, w.limit_amount - w.used + t.unused))
    from (
        select w.owner, w.ends_at, w.metric, w.window_kind,
            sum(greatest(0, n.held - n.used))::bigint as unused,
            sum(greatest(0, n.used - n.held))::bigint as beyond
        from unnest(p_attempt_ids, p_connects, p_conversions, p_paids, p_revenues, p_payouts)
                u(attempt_id, connects, conversions, paids, revenue, payout)
            join reservation r on r.account_id = p_account and r.attempt_id = u.attempt_id,
            owners_of(p_account, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) o
            join cap_window w on w.account_id = p_account and w.owner = o.owner,
            lateral (select
                cap_amount(w.metric, 1, r.connects, r.conversions, r.paids, r.revenue_micros, r.payout_micros),
                cap_amount(w.metric, 1, u.connects, u.conversions, u.paids, u.revenue, u.payout)
            ) n(held, used)
        where u.attempt_id = any(v_held) and o.owner = any(v_met)
            and w.ends_at > r.reserved_at and w.starts_at <= r.reserved_at
        group by 1, 2, 3, 4
    ) t
    where w.account_id = p_account and w.owner = t.owner and w.ends_at = t.ends_at and w.metric = t.metric
        and w.window_kind = t.window_kind and (t.unused > 0 or t.beyond > 0);

    update cap_owner c set live = c.live - d.ended
    from (
        select o.owner collate "C" as owner, count(*) as ended
        from reservation r, owners_of(p_account, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) o
        where r.account_id = p_account and r.attempt_id = any(v_held) group by 1
    ) d
    where c.account_id = p_account and c.owner = d.owner;

    perform from buyer_funds f where f.account_id = p_account and f.buyer_id in (
        select r.buyer_id from reservation r
        where r.account_id = p_account and r.attempt_id = any(v_held) and r.funds_micros > 0
    ) order by f.buyer_id for update of f;
    update buyer_funds f set held_micros = f.held_micros - d.funds
    from (
        select r.buyer_id, sum(r.funds_micros)::bigint as funds from reservation r
        where r.account_id = p_account and r.attempt_id = any(v_held) and r.funds_micros > 0 group by 1
    ) d
    where f.account_id = p_account and f.buyer_id = d.buyer_id;

    return query
        update reservation r
        set state = case when p_swept then 'expired'
                when u.connects + u.conversions + u.paids = 0 and u.revenue = 0 and u.payout = 0 then 'released'
                else 'settled' end,
            ended_at = p_now, connects = u.connects, conversions = u.conversions, paids = u.paids,
            revenue_micros = u.revenue, payout_micros = u.payout
        from unnest(p_attempt_ids, p_connects, p_conversions, p_paids, p_revenues, p_payouts)
            u(attempt_id, connects, conversions, paids, revenue, payout)
        where r.account_id = p_account and r.attempt_id = u.attempt_id and r.attempt_id = any(v_held)
        returning r.attempt_id;
end $$;

-- Release what has expired by p_now, oldest first; nothing but the attempt stays used.
create function sweep_expired(p_account text, p_now timestamptz, p_limit integer) returns setof text
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_expired text[];
    v_none bigint[];
begin
    select array_agg(e.attempt_id), array_agg(0::bigint) into v_expired, v_none
    from (
        select r.attempt_id from reservation r
        where r.account_id = p_account and r.state = 'held' and r.expires_at <= p_now
        order by r.expires_at, r.attempt_id limit p_limit
    ) e;
    if v_expired is not null then
        return query select end_batch(p_account, p_now, true, v_expired, v_none, v_none, v_none, v_none, v_none);
    end if;
end $$;

-- Count what came after the end, in the windows of the reservation: up to the limit, the rest as overage;
-- negative takes overage back first. False, and nothing changes, for an attempt that is unknown or held or was
-- denied, and for a revision that is counted already.
create function book_late(
    p_account text, p_attempt_id text, p_revision integer, p_conversions bigint, p_paids bigint, p_revenue bigint,
    p_payout bigint
) returns boolean language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_reservation reservation;
begin
    perform pg_advisory_xact_lock_shared(capacity_gate(p_account));
    select r.* into v_reservation from reservation r
    where r.account_id = p_account and r.attempt_id = p_attempt_id for update;
    if not found or v_reservation.state in ('held', 'denied') or p_revision = any(v_reservation.revisions) then
        return false;
    end if;
    perform from cap_owner c where c.account_id = p_account and c.owner in (
        select o.owner from owners_of(p_account, v_reservation.campaign_id, v_reservation.publisher_id,
            v_reservation.buyer_id, v_reservation.offer_id) o
    ) order by c.owner for update of c;
    update cap_window w
    set used = case when n.amount >= 0 then w.used + least(n.amount, greatest(0, w.limit_amount - w.used))
            else greatest(0, w.used + n.amount + least(-n.amount, w.overage)) end,
        overage = case when n.amount >= 0
            then w.overage + n.amount - least(n.amount, greatest(0, w.limit_amount - w.used))
            else w.overage - least(-n.amount, w.overage) end
    from owners_of(p_account, v_reservation.campaign_id, v_reservation.publisher_id, v_reservation.buyer_id,
            v_reservation.offer_id) o,
        (values ('conversion', p_conversions), ('paid', p_paids), ('revenue', p_revenue), ('payout', p_payout)
            ) n(metric, amount)
    where w.account_id = p_account and w.owner = o.owner and w.metric = n.metric and n.amount <> 0
        and w.ends_at > v_reservation.reserved_at and w.starts_at <= v_reservation.reserved_at;
    update reservation r
    set conversions = r.conversions + p_conversions, paids = r.paids + p_paids,
        revenue_micros = r.revenue_micros + p_revenue, payout_micros = r.payout_micros + p_payout,
        revisions = array_append(r.revisions, p_revision)
    where r.account_id = p_account and r.attempt_id = p_attempt_id;
    return true;
end $$;

-- A posting's effect on what a buyer has: a deposit is positive, a charge negative.
create function funds_add(p_account text, p_buyer text, p_delta_micros bigint) returns void language sql as $$
    insert into buyer_funds (account_id, buyer_id, balance_micros) values (p_account, p_buyer, p_delta_micros)
    on conflict (account_id, buyer_id) do update
    set balance_micros = buyer_funds.balance_micros + excluded.balance_micros
$$;
