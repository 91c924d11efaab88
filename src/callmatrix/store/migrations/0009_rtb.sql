-- Bids that we sell: who asked, what was bid or why not, and the call that used the bid.

alter table config drop constraint config_kind_check;
alter table config add constraint config_kind_check check (kind in (
    'account', 'buyer', 'offer', 'publisher', 'campaign', 'number', 'connection', 'flow', 'endpoint'));

-- The secret by which a seller asks, hashed; the one before stays good until `former_until`.
create table rtb_key (
    account_id   text not null,
    endpoint_id  text not null,
    key_hash     bytea not null check (length(key_hash) = 32),
    former_hash  bytea check (length(former_hash) = 32),
    former_until timestamptz,
    changed_at   timestamptz not null,
    primary key (account_id, endpoint_id),
    check ((former_hash is null) = (former_until is null))
);

-- How many requests were answered in the windows that are open. Whoever answers one holds the row, so that
-- limits are exact however many processes there are.
create table rtb_gate (
    account_id   text not null,
    endpoint_id  text not null,
    minute_at    timestamptz not null,
    minute_count integer not null,
    hour_at      timestamptz not null,
    hour_count   integer not null,
    day_at       timestamptz not null,
    day_count    integer not null,
    primary key (account_id, endpoint_id)
) with (fillfactor = 50);

-- What became of requests and calls, by hour: `bid`, `repeat`, `call`, or the code of a refusal.
create table rtb_tally (
    account_id  text not null,
    endpoint_id text not null,
    hour_at     timestamptz not null,
    code        text not null,
    count       bigint not null,
    primary key (account_id, endpoint_id, hour_at, code)
) with (fillfactor = 50);

create table rtb_bid (
    account_id     text not null,
    id             text not null,
    endpoint_id    text not null,
    campaign_id    text not null,
    publisher_id   text not null,
    asked_at       timestamptz not null,
    state          text not null check (state in ('open', 'used', 'expired', 'refused')),
    code           text not null,
    detail         text not null,
    caller         text,
    request_hash   bytea not null check (length(request_hash) = 32),
    request        jsonb not null,
    repeats        integer not null default 0,
    -- of a bid: what is paid, after how many seconds, and what we expect to earn, from whom, by which plan
    amount_micros  bigint check (amount_micros > 0),
    min_s          integer,
    revenue_micros bigint,
    offer_id       text,
    plan_version   integer,
    hold           text check (hold in ('none', 'soft', 'hard')),
    -- how long the call may hold what is held
    hold_s         integer,
    expires_at     timestamptz,
    number_id      text,
    number         text,
    sip_host       text,
    sold           jsonb,
    -- the call that is to come, by which its auctions are known; it has come once `used_at` is there
    call_id        text not null,
    used_at        timestamptz,
    used_by        text,
    used_ref       text,
    primary key (account_id, id),
    check ((state = 'refused') = (code <> '')),
    check (state = 'refused' or (amount_micros, min_s, revenue_micros, offer_id, plan_version, hold, hold_s,
        expires_at, number_id, number, sip_host, sold) is not null),
    check ((state = 'used') = (used_at is not null)),
    check ((used_at is null) = (used_ref is null) and (used_at is null) = (used_by is null))
) with (fillfactor = 70);
-- The same request is bid for once at a time.
create unique index rtb_bid_once on rtb_bid (account_id, endpoint_id, request_hash) where state = 'open';
-- A call without a known caller is known by its number alone.
create unique index rtb_bid_unnamed on rtb_bid (account_id, number_id) where state = 'open' and caller is null;
create unique index rtb_bid_call on rtb_bid (account_id, call_id);
create unique index rtb_bid_used_ref on rtb_bid (account_id, used_by, used_ref) where used_ref is not null;
create index rtb_bid_unnamed_late on rtb_bid (account_id, number_id, asked_at desc)
    where caller is null and state in ('open', 'expired');
create index rtb_bid_old on rtb_bid (state, asked_at) where state in ('refused', 'expired');
create index rtb_bid_due on rtb_bid (expires_at) where state = 'open';
create index rtb_bid_open on rtb_bid (account_id, endpoint_id, expires_at) where state = 'open';
create index rtb_bid_of_offer on rtb_bid (account_id, offer_id) where state = 'open';
create index rtb_bid_caller on rtb_bid (account_id, caller, asked_at desc)
    where caller is not null and state <> 'refused';
create index rtb_bid_asked on rtb_bid (account_id, asked_at desc, id desc);
create index rtb_bid_asked_of on rtb_bid (account_id, endpoint_id, asked_at desc, id desc);

create function rtb_count(p_account text, p_endpoint text, p_at timestamptz, p_code text) returns void
language sql as $$
    insert into rtb_tally (account_id, endpoint_id, hour_at, code, count)
    values (p_account, p_endpoint, date_trunc('hour', p_at, 'UTC'), p_code, 1)
    on conflict (account_id, endpoint_id, hour_at, code) do update set count = rtb_tally.count + 1
$$;

-- Answer one request: the open bid of the same request; or the bid, or the refusal, that the asker brings.
--
-- p_ask: {endpoint_id, at, minute_at, hour_at, day_at, per_minute?, per_hour?, per_day?, max_open, hash, caller?,
-- numbers: [{id, number}], row?: what rtb_bid keeps; state 'open' or 'refused'}. Answers {outcome: 'repeat' |
-- 'made', bid}, {outcome: 'refused', code}, or {outcome: 'gone'}: nothing was brought, and the bid that was to be
-- repeated is over.
create function rtb_answer(p_account text, p_ask jsonb) returns jsonb language plpgsql as $$
declare
    v_endpoint text := p_ask->>'endpoint_id';
    v_at timestamptz := (p_ask->>'at')::timestamptz;
    v_gate rtb_gate;
    v_bid rtb_bid;
    v_number record;
begin
    insert into rtb_gate
    values (p_account, v_endpoint, (p_ask->>'minute_at')::timestamptz, 0, (p_ask->>'hour_at')::timestamptz, 0,
        (p_ask->>'day_at')::timestamptz, 0)
    on conflict do nothing;
    select * into v_gate from rtb_gate where account_id = p_account and endpoint_id = v_endpoint for update;
    -- Forward only: the clocks of two processes differ a little.
    if v_gate.minute_at < (p_ask->>'minute_at')::timestamptz then
        v_gate.minute_at := (p_ask->>'minute_at')::timestamptz; v_gate.minute_count := 0;
    end if;
    if v_gate.hour_at < (p_ask->>'hour_at')::timestamptz then
        v_gate.hour_at := (p_ask->>'hour_at')::timestamptz; v_gate.hour_count := 0;
    end if;
    if v_gate.day_at < (p_ask->>'day_at')::timestamptz then
        v_gate.day_at := (p_ask->>'day_at')::timestamptz; v_gate.day_count := 0;
    end if;
    if v_gate.minute_count >= (p_ask->>'per_minute')::bigint or v_gate.hour_count >= (p_ask->>'per_hour')::bigint
            or v_gate.day_count >= (p_ask->>'per_day')::bigint then
        perform rtb_count(p_account, v_endpoint, v_at, 'rate_limited');
        return jsonb_build_object('outcome', 'refused', 'code', 'rate_limited');
    end if;

    update rtb_bid set state = 'expired'
    where account_id = p_account and endpoint_id = v_endpoint and state = 'open' and expires_at <= v_at;
    if p_ask->>'caller' is null then
        update rtb_bid set state = 'expired'
        where account_id = p_account and state = 'open' and caller is null and expires_at <= v_at
            and number_id in (select n.id from jsonb_to_recordset(p_ask->'numbers') as n(id text));
    end if;
    update rtb_bid set repeats = repeats + 1
    where account_id = p_account and endpoint_id = v_endpoint and state = 'open'
        and request_hash = decode(p_ask->>'hash', 'hex')
    returning * into v_bid;
    if v_bid.id is null and p_ask->'row' is null then
        return jsonb_build_object('outcome', 'gone');
    end if;

    update rtb_gate set minute_at = v_gate.minute_at, minute_count = v_gate.minute_count + 1,
        hour_at = v_gate.hour_at, hour_count = v_gate.hour_count + 1,
        day_at = v_gate.day_at, day_count = v_gate.day_count + 1
    where account_id = p_account and endpoint_id = v_endpoint;
    if v_bid.id is not null then
        perform rtb_count(p_account, v_endpoint, v_at, 'repeat');
        return jsonb_build_object('outcome', 'repeat', 'bid', to_jsonb(v_bid));
    end if;

    v_bid := jsonb_populate_record(null::rtb_bid, p_ask->'row');
    v_bid.account_id := p_account;
    v_bid.endpoint_id := v_endpoint;
    v_bid.asked_at := v_at;
    v_bid.request_hash := decode(p_ask->>'hash', 'hex');
    v_bid.repeats := 0;
    if v_bid.state = 'open' then
        if (p_ask->>'max_open')::bigint <= (select count(*) from rtb_bid b
                where b.account_id = p_account and b.endpoint_id = v_endpoint and b.state = 'open') then
            v_bid.state := 'refused';
            v_bid.code := 'too_many_open_bids';
        else
            -- The number that waits for the fewest calls of this caller; without a caller, one that waits for none.
            select n.id, n.number into v_number
            from jsonb_to_recordset(p_ask->'numbers') as n(id text, number text, place integer)
                left join (select b.number_id, count(*) as waiting from rtb_bid b
                    where b.account_id = p_account and b.caller = v_bid.caller and b.state = 'open'
                        and b.expires_at > v_at group by b.number_id) w on w.number_id = n.id
            where v_bid.caller is not null or not exists (select from rtb_bid b
                where b.account_id = p_account and b.number_id = n.id and b.caller is null and b.state = 'open')
            order by coalesce(w.waiting, 0), n.place limit 1;
            if v_number.id is null then
                v_bid.state := 'refused';
                v_bid.code := 'no_number';
            else
                v_bid.number_id := v_number.id;
                v_bid.number := v_number.number;
            end if;
        end if;
    end if;
    insert into rtb_bid select v_bid.*;
    perform rtb_count(p_account, v_endpoint, v_at, case v_bid.state when 'open' then 'bid' else v_bid.code end);
    if v_bid.state = 'refused' then
        return jsonb_build_object('outcome', 'refused', 'code', v_bid.code);
    end if;
    return jsonb_build_object('outcome', 'made', 'bid', to_jsonb(v_bid));
end $$;

-- The bid that an arriving call answers, which is used by it from now on; or why there is none. A carrier that
-- tells twice of one call gets the same answer.
create function rtb_use(
    p_account text, p_endpoint text, p_number_id text, p_caller text, p_at timestamptz, p_connection text,
    p_ref text, p_skew interval
) returns jsonb language plpgsql as $$
declare
    v_bid rtb_bid;
    v_id text;
    v_code text;
begin
    -- Two at once about the same call: the later one finds what the other used.
    perform pg_advisory_xact_lock(hashtextextended(p_account || ' ' || p_connection || ' ' || p_ref, 0));
    select * into v_bid from rtb_bid
    where account_id = p_account and used_by = p_connection and used_ref = p_ref;
    if found then
        return jsonb_build_object('bid', to_jsonb(v_bid));
    end if;
    -- Another call of the same caller may take the one that was found: then the next one is looked for.
    for _ in 1..10 loop
        select f.id into v_id from (
            select b.id, b.asked_at, 1 as place from rtb_bid b
            where b.account_id = p_account and b.caller = p_caller and b.state in ('open', 'expired')
                and b.endpoint_id = p_endpoint and b.number_id = p_number_id and b.expires_at > p_at
                and b.asked_at <= p_at + p_skew
            union all
            select b.id, b.asked_at, 2 from rtb_bid b
            where b.account_id = p_account and b.caller is null and b.state in ('open', 'expired')
                and b.endpoint_id = p_endpoint and b.number_id = p_number_id and b.expires_at > p_at
                and b.asked_at <= p_at + p_skew
        ) f order by f.place, f.asked_at desc, f.id desc limit 1;
        exit when not found;
        update rtb_bid set state = 'used', used_at = p_at, used_by = p_connection, used_ref = p_ref
        where account_id = p_account and id = v_id and state in ('open', 'expired')
        returning * into v_bid;
        exit when found;
    end loop;
    if v_bid.id is null then
        select case
            when b.expires_at <= p_at then 'rtb_expired'
            when b.used_at is not null then 'rtb_used'
            else 'rtb_wrong_number' end
        into v_code from rtb_bid b
        where b.account_id = p_account and b.caller = p_caller and b.state <> 'refused'
            and b.endpoint_id = p_endpoint and b.asked_at <= p_at + p_skew
        order by b.asked_at desc, b.id desc limit 1;
        v_code := coalesce(v_code, case when p_caller is null then 'rtb_caller_hidden' else 'rtb_no_bid' end);
        perform rtb_count(p_account, p_endpoint, p_at, v_code);
        return jsonb_build_object('code', v_code);
    end if;
    if v_bid.hold = 'hard' then
        -- From now on it is held for as long as the call may last.
        perform pg_advisory_xact_lock(capacity_gate(p_account));
        update reservation set expires_at = p_at + make_interval(secs => v_bid.hold_s)
        where account_id = p_account and attempt_id = v_bid.call_id || '-1' and state = 'held';
    end if;
    perform rtb_count(p_account, p_endpoint, p_at, 'call');
    return jsonb_build_object('bid', to_jsonb(v_bid));
end $$;
