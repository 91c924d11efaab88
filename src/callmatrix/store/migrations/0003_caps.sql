-- Capacity: what each owner allows, what is used of it, and who holds it.
--
-- An owner is written '<kind>:<id>'. One lock guards an account's capacity: the gate, taken first by every
-- function that writes here and held until the commit; rows are then read and written without further locks
-- (only buyers' balances move outside of it, by whole additions). Work comes in batches, and batches that take
-- the locks of their rows one by one wait several times each: from four processes that was 2 to 3 times slower.
-- A reservation counts in every window of its owners that covers `reserved_at`, whether or not the cap stood
-- when it was made, so every counter here can be told from `reservation`.

-- What one column may hold is mostly checked by its type: a table's CHECKs are parsed again by every statement
-- that writes to it, which took a third of the time of a claim.
create domain capacity_units as integer check (value >= 0);
create domain capacity_amount as bigint check (value >= 0);
create domain capacity_count as smallint check (value >= 0);
create domain capacity_attempt as text collate "C" check (length(value) between 1 and 200);
create domain cap_owner_name as text collate "C" check (length(value) between 3 and 200);
create domain cap_owner_status as text check (value in ('open', 'paused', 'closed', 'blocked'));
create domain cap_zone as text check (length(value) between 1 and 64);
create domain cap_weekday as smallint check (value between 0 and 6);
create domain cap_ending as text check (value in ('block', 'unpaid'));
create domain cap_metric as text collate "C"
    check (value in ('attempt', 'connect', 'conversion', 'paid', 'revenue', 'payout'));
create domain cap_window_kind as text collate "C" check (value in ('hour', 'day', 'week', 'month', 'total'));
create type reservation_state as enum ('held', 'denied', 'settled', 'released', 'expired');

create table cap_owner (
    account_id      text not null,
    owner           cap_owner_name not null,
    status          cap_owner_status not null default 'open',
    concurrency     capacity_units,
    -- how many reservations are held; above `live_ceiling` never (the limit, or more where it was lowered)
    live            capacity_units not null default 0,
    live_ceiling    integer,
    spacing_s       capacity_units,
    last_granted_at timestamptz,
    time_zone       cap_zone not null,
    -- 0 is Monday
    week_starts_on  cap_weekday not null,
    when_capped     cap_ending not null default 'block',
    cap_count       capacity_units not null default 0,
    primary key (account_id, owner),
    check (live <= live_ceiling)
) with (fillfactor = 50);

-- Amounts are units or, for revenue and payout, micros.
create table cap (
    account_id   text not null,
    owner        text collate "C" not null,
    metric       cap_metric not null,
    window_kind  cap_window_kind not null,
    limit_amount capacity_amount not null,
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
    limit_amount capacity_amount not null,
    ceiling      bigint not null,
    used         capacity_amount not null default 0,
    -- what came later than the reservation and went beyond the ceiling
    overage      capacity_amount not null default 0,
    -- by the end first: the windows open at an instant lie together, however long the history
    primary key (account_id, owner, ends_at, metric, window_kind),
    foreign key (account_id, owner) references cap_owner,
    check (used <= ceiling and starts_at < ends_at)
) with (fillfactor = 50);

-- A buyer without a row has no funds.
create table buyer_funds (
    account_id          text not null,
    buyer_id            text collate "C" not null,
    -- paid ahead (positive) or owed to us (negative)
    balance_micros      bigint not null default 0,
    held_micros         capacity_amount not null default 0,
    credit_limit_micros bigint not null default 0,
    primary key (account_id, buyer_id)
) with (fillfactor = 50);

create table reservation (
    account_id     text not null,
    attempt_id     capacity_attempt not null,
    call_id        text,
    campaign_id    text,
    offer_id       text,
    buyer_id       text,
    publisher_id   text,
    state          reservation_state not null,
    reserved_at    timestamptz not null,
    expires_at     timestamptz not null,
    ended_at       timestamptz,
    pays_publisher boolean not null default true,
    -- what it counts now: while held the most it may become
    connects       capacity_count not null default 0,
    conversions    capacity_count not null default 0,
    paids          capacity_count not null default 0,
    revenue_micros capacity_amount not null default 0,
    payout_micros  capacity_amount not null default 0,
    -- held of the buyer's funds: the call's maximum, also where conversion comes later
    funds_micros   bigint not null default 0,
    -- rating revisions that came after the end and are counted above
    revisions      integer[],
    -- the answer to a claim that was denied
    refusal        jsonb,
    primary key (account_id, attempt_id),
    check ((state = 'denied') = (refusal is not null) and (state = 'held') = (ended_at is null))
);
create index reservation_expiry on reservation (account_id, expires_at) where state = 'held';
-- Few: what a sweep found expired. A settlement that was saved but not performed by then still counts.
create index reservation_expired on reservation (account_id, attempt_id) where state = 'expired';
-- A cap that is added counts what its owner reserved in the window before: of what is over by these, of what is
-- held, which is never much, by the index above. So a claim, which the caller waits for, writes none of these.
create index reservation_by_campaign on reservation (account_id, campaign_id, reserved_at)
    where state in ('settled', 'released', 'expired');
create index reservation_by_offer on reservation (account_id, offer_id, reserved_at)
    where state in ('settled', 'released', 'expired');
create index reservation_by_buyer on reservation (account_id, buyer_id, reserved_at)
    where state in ('settled', 'released', 'expired');
create index reservation_by_publisher on reservation (account_id, publisher_id, reserved_at)
    where state in ('settled', 'released', 'expired');
create index reservation_by_time on reservation using brin (reserved_at);

-- One claim with its needs, the `place`-th to be judged; `funds` is what the buyer must be good for.
create type capacity_claim as (
    place integer, attempt_id text, call_id text, campaign_id text, offer_id text, buyer_id text,
    publisher_id text, conversions bigint, paids bigint, revenue bigint, payout bigint, funds bigint,
    expires_at timestamptz
);
create type capacity_answer as (attempt_id text, verdict text, pays_publisher boolean, refusal jsonb);

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

-- One claim, with the gate closed and every window there: refuse it whole or book it whole.
create function reserve_one(
    p_account text, p_now timestamptz, p_claim capacity_claim,
    out verdict text, out pays_publisher boolean, out refusal jsonb
) language plpgsql as $$
#variable_conflict use_column
declare
    v_owners text[];
    v_pays boolean;
begin
    select r.state, r.pays_publisher, r.refusal into verdict, pays_publisher, refusal
    from reservation r where r.account_id = p_account and r.attempt_id = p_claim.attempt_id;
    if found then
        return;
    end if;

    v_owners := array(
        select o.owner from owners_of(p_account, p_claim.campaign_id, p_claim.publisher_id, p_claim.buyer_id, p_claim.offer_id) o
    );
    with asked as (
        select o.rank, c.* from owners_of(p_account, p_claim.campaign_id, p_claim.publisher_id, p_claim.buyer_id, p_claim.offer_id) o
        join cap_owner c on c.account_id = p_account and c.owner = any(v_owners) and c.owner = o.owner
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
            join cap_window w on w.account_id = p_account and w.owner = any(v_owners) and w.owner = a.owner
                and w.ends_at > p_now and w.starts_at <= p_now,
            lateral (select cap_amount(w.metric, 1, 1, p_claim.conversions, p_claim.paids, p_claim.revenue, p_claim.payout)) n(amount)
        where n.amount > 0 and w.used + n.amount > w.limit_amount
        union all
        select 5, 3, 'buyer:' || p_claim.buyer_id, '', '', false, 'no_funds', coalesce(f.total, 0), coalesce(f.held, 0)
        from (select) one left join (
            select b.balance_micros + b.credit_limit_micros as total, b.held_micros as held
            from buyer_funds b where b.account_id = p_account and b.buyer_id = p_claim.buyer_id
        ) f on true
        where p_claim.buyer_id is not null and coalesce(f.total - f.held, 0) < p_claim.funds
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
        values (p_account, p_claim.attempt_id, p_claim.call_id, p_claim.campaign_id, p_claim.offer_id, p_claim.buyer_id, p_claim.publisher_id,
            'denied', p_now, p_claim.expires_at, p_now, refusal);
        return;
    end if;
    verdict := 'held';
    pays_publisher := v_pays;
    if not v_pays then
        p_claim.paids := 0;
        p_claim.payout := 0;
    end if;
    update cap_owner c set live = c.live + 1, last_granted_at = greatest(c.last_granted_at, p_now)
    where c.account_id = p_account and c.owner = any(v_owners);
    update cap_window w
    set used = w.used + cap_amount(w.metric, 1, 1, p_claim.conversions, p_claim.paids, p_claim.revenue, p_claim.payout)
    where w.account_id = p_account and w.owner = any(v_owners) and w.ends_at > p_now and w.starts_at <= p_now
        and cap_amount(w.metric, 1, 1, p_claim.conversions, p_claim.paids, p_claim.revenue, p_claim.payout) > 0;
    update buyer_funds b set held_micros = b.held_micros + p_claim.funds
    where b.account_id = p_account and b.buyer_id = p_claim.buyer_id and p_claim.funds > 0;
    insert into reservation (account_id, attempt_id, call_id, campaign_id, offer_id, buyer_id, publisher_id,
        state, reserved_at, expires_at, pays_publisher, connects, conversions, paids, revenue_micros,
        payout_micros, funds_micros)
    values (p_account, p_claim.attempt_id, p_claim.call_id, p_claim.campaign_id, p_claim.offer_id, p_claim.buyer_id, p_claim.publisher_id,
        'held', p_now, p_claim.expires_at, v_pays, 1, p_claim.conversions, p_claim.paids, p_claim.revenue, p_claim.payout, p_claim.funds);
end $$;

-- Reserve for the claims of a batch one after the other; see `reserve_batch`.
create function reserve_each(
    p_account text, p_now timestamptz, p_catalog_version bigint, p_claims capacity_claim[], p_owners text[]
) returns capacity_answer[]
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_missing capacity_answer[];
    v_claim capacity_claim;
    v_answer record;
    v_answers capacity_answer[];
begin
    perform pg_advisory_xact_lock(capacity_gate(p_account));
    if exists (select from account a where a.account_id = p_account and a.catalog_version > p_catalog_version) then
        return array(select (c.attempt_id, 'stale', null, null)::capacity_answer from unnest(p_claims) c);
    end if;
    v_missing := array(
        select ('', 'window_missing', null, to_jsonb(c.owner))::capacity_answer
        from cap c where c.account_id = p_account and c.owner = any(p_owners) and not exists (
            select from cap_window w where w.account_id = p_account and w.owner = c.owner
                and w.ends_at > p_now and w.starts_at <= p_now and w.metric = c.metric
                and w.window_kind = c.window_kind)
    );
    if v_missing <> '{}' then
        return v_missing;
    end if;
    for v_claim in select c.* from unnest(p_claims) c order by c.place loop
        v_answer := reserve_one(p_account, p_now, v_claim);
        v_answers := v_answers || (v_claim.attempt_id, v_answer.verdict, v_answer.pays_publisher,
            v_answer.refusal)::capacity_answer;
    end loop;
    return v_answers;
end $$;

-- Reserve for a batch of claims of different attempts in their order; a repeated attempt gets its stored answer.
-- Null where all are held and pay the publisher. Verdicts: the reservation's state; or, for the whole batch and
-- with nothing changed, 'stale' (the account has a newer configuration than the asker) or one 'window_missing'
-- for each cap without a row that covers p_now.
--
-- p_claims are sorted by attempt. One element a different owner of them all: p_owners; in p_owner_amounts five
-- each, the sums over its claims of claims, conversions, paids, revenue and payout. One a different buyer:
-- p_buyers, p_buyer_funds, of which p_charged are above zero.
create function reserve_batch(
    p_account text, p_now timestamptz, p_catalog_version bigint, p_claims capacity_claim[], p_owners text[],
    p_owner_amounts bigint[], p_buyers text[], p_buyer_funds bigint[], p_charged bigint
) returns capacity_answer[]
language plpgsql set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_closed boolean;
    v_charged bigint := 0;
    v_booked bigint;
    v_fit boolean;
begin
    -- Before the gate, which is closed for as short a time as can be; in order, so that no two wait for each other.
    insert into reservation (account_id, attempt_id, call_id, campaign_id, offer_id, buyer_id, publisher_id,
        state, reserved_at, expires_at, connects, conversions, paids, revenue_micros, payout_micros, funds_micros)
    select p_account, c.attempt_id, c.call_id, c.campaign_id, c.offer_id, c.buyer_id, c.publisher_id,
        'held', p_now, c.expires_at, 1, c.conversions, c.paids, c.revenue, c.payout, c.funds
    from unnest(p_claims) c;

    -- Assigned, not performed: that would be one statement more.
    v_closed := pg_advisory_xact_lock(capacity_gate(p_account)) is not null;
    -- New statements, so that they see what the former holder of the gate has committed. All is booked, then
    -- judged by what came of it: there is room for all of them together, so for each after the others. Rows are
    -- looked up by array, never by join: each is found in the index however small the table seems.
    if p_charged > 0 then
        update buyer_funds f
        set held_micros = f.held_micros + p_buyer_funds[array_position(p_buyers, f.buyer_id collate "C")]
        where f.account_id = p_account and f.buyer_id = any(p_buyers)
            and p_buyer_funds[array_position(p_buyers, f.buyer_id collate "C")] > 0;
        get diagnostics v_charged = row_count;
    end if;
    -- What has no room is not booked and so is missing in the count.
    update cap_window w
    set used = w.used + p_owner_amounts[5 * array_position(p_owners, w.owner collate "C") - case w.metric
        when 'payout' then 0 when 'revenue' then 1 when 'paid' then 2 when 'conversion' then 3 else 4 end]
    where w.account_id = p_account and w.owner = any(p_owners) and w.ends_at > p_now and w.starts_at <= p_now
        and w.used + p_owner_amounts[5 * array_position(p_owners, w.owner collate "C") - case w.metric
            when 'payout' then 0 when 'revenue' then 1 when 'paid' then 2 when 'conversion' then 3 else 4 end]
            <= w.limit_amount;
    get diagnostics v_booked = row_count;
    with owners as (
        update cap_owner o
        set live = o.live + p_owner_amounts[5 * array_position(p_owners, o.owner collate "C") - 4],
            -- 'infinity' tells, below, that the spacing does not allow it
            last_granted_at = case when o.spacing_s is not null
                    and (p_owner_amounts[5 * array_position(p_owners, o.owner collate "C") - 4] > 1
                        or p_now < o.last_granted_at + make_interval(secs => o.spacing_s))
                then 'infinity' else greatest(o.last_granted_at, p_now) end
        where o.account_id = p_account and o.owner = any(p_owners)
        returning o.cap_count, o.status = 'open' and coalesce(o.live <= o.concurrency, true)
            and o.last_granted_at < 'infinity' as fits
    )
    select coalesce(bool_and(fits), true) and coalesce(sum(cap_count), 0) = v_booked and v_charged = p_charged
        and not exists (
            select from buyer_funds f where f.account_id = p_account and f.buyer_id = any(p_buyers)
                and f.balance_micros + f.credit_limit_micros < f.held_micros)
        and not exists (
            select from account a where a.account_id = p_account and a.catalog_version > p_catalog_version)
    into v_fit
    from owners;
    if not v_fit then
        raise exception using errcode = 'check_violation';
    end if;
    return null;
exception when check_violation or unique_violation then
    -- Near a limit, or repeated: all of the above is undone, the gate open again.
    return reserve_each(p_account, p_now, p_catalog_version, p_claims, p_owners);
end $$;

-- Reserve, and return when that is on disk. The first commit opens the gate and does not wait for the disk: a gate
-- that stayed closed until then let one batch through for each turn of the disk. The second transaction writes a
-- message that nobody reads, only to have a commit that waits: the log is written in order, so once that commit
-- is on disk, every earlier one is, ours and those of whom we read. In between others may read what a crash can
-- still undo, but what they make of it comes later in the log, and so is undone with it.
create procedure reserve_durably(
    p_account text, p_now timestamptz, p_catalog_version bigint, p_claims capacity_claim[], p_owners text[],
    p_owner_amounts bigint[], p_buyers text[], p_buyer_funds bigint[], p_charged bigint,
    out p_answers capacity_answer[]
) language plpgsql as $$
declare
    v_at pg_lsn;
begin
    set local synchronous_commit = off;
    p_answers := reserve_batch(p_account, p_now, p_catalog_version, p_claims, p_owners,
        p_owner_amounts, p_buyers, p_buyer_funds, p_charged);
    commit;
    v_at := pg_logical_emit_message(true, 'callmatrix', '');
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
    v_ending text[];
    v_since timestamptz;
    v_until timestamptz;
    v_met text[];
begin
    -- A claim that is still on its way when its attempt is over must not be granted any more. Written before the
    -- gate, as claims are: who waits here for an unfinished claim must not keep it from the gate.
    if not p_swept then
        insert into reservation (account_id, attempt_id, state, reserved_at, expires_at, ended_at)
        select p_account, t.id, 'released', p_now, p_now, p_now from unnest(p_attempt_ids) t(id)
        where not exists (select from reservation r where r.account_id = p_account and r.attempt_id = t.id)
        order by t.id
        on conflict do nothing;
    end if;
    perform pg_advisory_xact_lock(capacity_gate(p_account));
    -- Filtered afterwards: as a condition, the state would tempt the planner to read all that is held.
    -- What expired before its call was settled holds nothing any more, but what came of it counts.
    select array_agg(r.attempt_id::text) filter (where r.state = 'held'),
        array_agg(r.attempt_id::text) filter (where r.state = 'held' or r.state = 'expired' and not p_swept),
        min(r.reserved_at), max(r.reserved_at)
    into v_held, v_ending, v_since, v_until
    from reservation r where r.account_id = p_account and r.attempt_id = any(p_attempt_ids);
    if v_ending is null then
        return;
    end if;

    v_met := array(
        select distinct o.owner
        from reservation r, owners_of(p_account, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) o
        where r.account_id = p_account and r.attempt_id = any(v_ending)
    );

    with ended as materialized (
        select o.owner, r.reserved_at, r.connects as held_connects, r.conversions as held_conversions,
            r.paids as held_paids, r.revenue_micros as held_revenue, r.payout_micros as held_payout,
            u.connects, u.conversions, u.paids, u.revenue, u.payout
        from unnest(p_attempt_ids, p_connects, p_conversions, p_paids, p_revenues, p_payouts)
                u(attempt_id, connects, conversions, paids, revenue, payout)
            join reservation r on r.account_id = p_account and r.attempt_id = any(v_ending)
                and r.attempt_id = u.attempt_id,
            owners_of(p_account, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) o
    ), changed as materialized (
        select w.owner, w.ends_at, w.metric, w.window_kind,
            sum(greatest(0, n.held - n.used))::bigint as unused,
            sum(greatest(0, n.used - n.held))::bigint as beyond
        from ended e
            join cap_window w on w.account_id = p_account and w.owner = any(v_met) and w.ends_at > v_since
                and w.starts_at <= v_until and w.owner = e.owner,
            lateral (select
                cap_amount(w.metric, 1, e.held_connects, e.held_conversions, e.held_paids, e.held_revenue,
                    e.held_payout),
                cap_amount(w.metric, 1, e.connects, e.conversions, e.paids, e.revenue, e.payout)
            ) n(held, used)
        where w.ends_at > e.reserved_at and w.starts_at <= e.reserved_at and n.held <> n.used
        group by 1, 2, 3, 4
    )
    update cap_window w
    set used = w.used - c.unused + least(c.beyond, greatest(0, w.limit_amount - w.used + c.unused)),
        overage = w.overage + c.beyond - least(c.beyond, greatest(0, w.limit_amount - w.used + c.unused))
    from changed c
    where w.account_id = p_account and w.owner = any(v_met) and w.ends_at > v_since and w.owner = c.owner
        and w.ends_at = c.ends_at and w.metric = c.metric and w.window_kind = c.window_kind;

    update cap_owner c set live = c.live - d.ended
    from (
        select o.owner collate "C" as owner, count(*) as ended
        from reservation r, owners_of(p_account, r.campaign_id, r.publisher_id, r.buyer_id, r.offer_id) o
        where r.account_id = p_account and r.attempt_id = any(v_held) group by 1
    ) d
    where c.account_id = p_account and c.owner = any(v_met) and c.owner = d.owner;

    update buyer_funds f set held_micros = f.held_micros - d.funds
    from (
        select r.buyer_id, sum(r.funds_micros)::bigint as funds from reservation r
        where r.account_id = p_account and r.attempt_id = any(v_held) and r.funds_micros > 0 group by 1
    ) d
    where f.account_id = p_account and f.buyer_id = d.buyer_id;

    update reservation r
    set state = case when p_swept then 'expired'::reservation_state
            when u.connects + u.conversions + u.paids = 0 and u.revenue = 0 and u.payout = 0 then 'released'
            else 'settled' end,
        ended_at = coalesce(r.ended_at, p_now), connects = u.connects, conversions = u.conversions,
        paids = u.paids, revenue_micros = u.revenue, payout_micros = u.payout
    from unnest(p_attempt_ids, p_connects, p_conversions, p_paids, p_revenues, p_payouts)
        u(attempt_id, connects, conversions, paids, revenue, payout)
    where r.account_id = p_account and r.attempt_id = u.attempt_id and r.attempt_id = any(v_ending);
    return query select unnest(v_held);
end $$;

-- End reservations, and return when that is on disk, as `reserve_durably` does.
create procedure end_durably(
    p_account text, p_now timestamptz, p_attempt_ids text[], p_connects bigint[], p_conversions bigint[],
    p_paids bigint[], p_revenues bigint[], p_payouts bigint[], out p_ended text[]
) language plpgsql as $$
begin
    set local synchronous_commit = off;
    p_ended := array(select end_batch(
        p_account, p_now, false, p_attempt_ids, p_connects, p_conversions, p_paids, p_revenues, p_payouts));
    commit;
    perform pg_logical_emit_message(true, 'callmatrix', '');
end $$;

-- Release what has expired by p_now, oldest first; nothing but the attempt stays used.
create function sweep_expired(p_account text, p_now timestamptz, p_limit integer) returns setof text
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_expired text[];
    v_none bigint[];
begin
    select array_agg(e.attempt_id::text), array_agg(0::bigint) into v_expired, v_none
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
    v_met text[];
begin
    perform pg_advisory_xact_lock(capacity_gate(p_account));
    select r.* into v_reservation from reservation r
    where r.account_id = p_account and r.attempt_id = p_attempt_id;
    if not found or v_reservation.state in ('held', 'denied') or p_revision = any(v_reservation.revisions) then
        return false;
    end if;
    -- Nobody can give back more than is counted.
    p_conversions := greatest(p_conversions, -v_reservation.conversions);
    p_paids := greatest(p_paids, -v_reservation.paids);
    p_revenue := greatest(p_revenue, -v_reservation.revenue_micros);
    p_payout := greatest(p_payout, -v_reservation.payout_micros);
    v_met := array(
        select o.owner from owners_of(p_account, v_reservation.campaign_id, v_reservation.publisher_id,
            v_reservation.buyer_id, v_reservation.offer_id) o
    );
    update cap_window w
    set used = case when n.amount >= 0 then w.used + least(n.amount, greatest(0, w.limit_amount - w.used))
            else w.used + n.amount + least(-n.amount, w.overage) end,
        overage = case when n.amount >= 0
            then w.overage + n.amount - least(n.amount, greatest(0, w.limit_amount - w.used))
            else w.overage - least(-n.amount, w.overage) end
    from (values ('conversion', p_conversions), ('paid', p_paids), ('revenue', p_revenue), ('payout', p_payout)
            ) n(metric, amount)
    where w.account_id = p_account and w.owner = any(v_met) and w.metric = n.metric and n.amount <> 0
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
