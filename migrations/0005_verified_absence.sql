-- Trade ids that the exchange never issued, why a gap stays open, and the role that records both.
--
-- An id is known when it is merged or verified absent. A candle is complete when every id from first_trade_id - 1 to
-- last_trade_id + 1 is known. Which candles that concerns is decided candle by candle: only the ids between these two
-- matter. A trade that comes although its id is verified absent is merged like any other, and its id is absent no more.

do $$
begin
    if not exists (select from pg_roles where rolname = 'producer') then
        create role producer login;
    end if;
end
$$;

-- The producer's transactions change candles, so they are bounded as the writer's are (see 0001).
alter role producer set statement_timeout = '30s';
alter role producer set lock_timeout = '30s';
alter role producer set idle_in_transaction_session_timeout = '30s';
alter role producer set search_path = public;

create table verified_absent_ids (
    symbol      text        not null,
    first_id    bigint      not null,
    last_id     bigint      not null,
    verified_at timestamptz not null default now(),
    method      text        not null,
    answer      text        not null,
    primary key (symbol, first_id),
    check (0 <= first_id and first_id <= last_id)
);

comment on table verified_absent_ids is
    'Per symbol the disjoint closed ranges of trade ids that the exchange never issued; none of them is merged.';
comment on column verified_absent_ids.method is 'How the ids were verified to be absent.';
comment on column verified_absent_ids.answer is 'The answer of the exchange that verified it.';

create table open_gap_reasons (
    symbol   text        not null,
    first_id bigint      not null,
    last_id  bigint      not null,
    reason   text        not null,
    tried_at timestamptz not null default now(),
    primary key (symbol, first_id, last_id),
    check (0 <= first_id and first_id <= last_id)
);

-- For the view trade_id_gaps, which looks for the reasons of each gap.
create index open_gap_reasons_ids on open_gap_reasons using gist (int8range(first_id, last_id, '[]'));

comment on table open_gap_reasons is
    'Why the ids of a gap could not be fetched, and when that was tried last. A row whose ids are all known means nothing.';

-- The views first, then the tables below them: queries lock them in this order.
lock table completeness, trade_id_gaps in access exclusive mode;

alter table fact_realtime_trades_1m add column verified_absent_count bigint not null default 0;
alter table fact_realtime_trades_1m add check (verified_absent_count >= 0);

comment on column fact_realtime_trades_1m.verified_absent_count is
    'How many ids between first_trade_id and last_trade_id are verified absent.';
comment on column fact_realtime_trades_1m.is_complete is
    'Every trade id from first_trade_id - 1 to last_trade_id + 1 is merged or verified absent: nothing is missing and '
    'both neighbours join on. Ids start at 0, so a candle that begins with 0 has no id before it.';

-- The candles that merged trades or verified absent ids can still change, found by the ids that they span.
drop index fact_realtime_trades_1m_incomplete;
create index fact_realtime_trades_1m_unsettled
    on fact_realtime_trades_1m (symbol, first_trade_id, last_trade_id)
    where not is_complete or verified_absent_count > 0;

create or replace view trade_id_gaps as
select
    gap.symbol,
    gap.first_missing_id,
    gap.last_missing_id,
    gap.last_missing_id - gap.first_missing_id + 1 as missing_count,
    latest.reason,
    latest.tried_at
from (
    select
        symbol,
        last_id + 1                                                        as first_missing_id,
        lead(first_id) over (partition by symbol order by first_id) - 1    as last_missing_id,
        min(first_id) filter (where is_merged) over (partition by symbol)  as first_merged_id,
        max(last_id) filter (where is_merged) over (partition by symbol)   as last_merged_id
    from (
        select symbol, first_id, last_id, true as is_merged from trade_id_ranges
        union all
        select symbol, first_id, last_id, false from verified_absent_ids
    ) as known
) as gap
left join lateral (
    select tried.reason, tried.tried_at
    from open_gap_reasons as tried
    where tried.symbol = gap.symbol
      and int8range(tried.first_id, tried.last_id, '[]') && int8range(gap.first_missing_id, gap.last_missing_id + 1)
    order by tried.tried_at desc
    limit 1
) as latest on true
where gap.first_missing_id <= gap.last_missing_id
  and gap.first_missing_id > gap.first_merged_id
  and gap.last_missing_id < gap.last_merged_id;

comment on view trade_id_gaps is
    'One row per run of trade ids that lie between merged ones and are neither merged nor verified absent, with the '
    'reason of the last attempt to fetch any of them (null: none is recorded).';

create or replace view completeness as
select
    symbol,
    count(*)                                    as candles,
    count(*) filter (where is_complete)         as complete_candles,
    min(open_time)                              as first_open_time,
    max(open_time)                              as last_open_time,
    max(open_time) filter (where is_complete)   as last_complete_open_time,
    sum(verified_absent_count)::bigint          as verified_absent_count
from fact_realtime_trades_1m
group by symbol;

comment on view completeness is
    'One row per symbol: how many realtime candles there are, how many are complete, and how many ids that they span '
    'are verified absent.';

-- Ranges are disjoint, so at most one that begins before from_id reaches it: two short looks at the index find all.
create function merged_id_count(of_symbol text, from_id bigint, to_id bigint) returns bigint
language sql stable parallel safe set search_path = pg_catalog, public, pg_temp
return (
    select coalesce(sum(least(last_id, to_id) - greatest(first_id, from_id) + 1), 0)::bigint
    from (
        (
            select first_id, last_id
            from trade_id_ranges
            where symbol = of_symbol and first_id <= from_id
            order by first_id desc
            limit 1
        )
        union all
        select first_id, last_id
        from trade_id_ranges
        where symbol = of_symbol and first_id > from_id and first_id <= to_id
    ) as ranges
    where last_id >= from_id
);

comment on function merged_id_count is 'Return how many ids from_id..to_id of a symbol are merged.';

create function verified_absent_id_count(of_symbol text, from_id bigint, to_id bigint) returns bigint
language sql stable parallel safe set search_path = pg_catalog, public, pg_temp
return (
    select coalesce(sum(least(last_id, to_id) - greatest(first_id, from_id) + 1), 0)::bigint
    from (
        (
            select first_id, last_id
            from verified_absent_ids
            where symbol = of_symbol and first_id <= from_id
            order by first_id desc
            limit 1
        )
        union all
        select first_id, last_id
        from verified_absent_ids
        where symbol = of_symbol and first_id > from_id and first_id <= to_id
    ) as ranges
    where last_id >= from_id
);

comment on function verified_absent_id_count is 'Return how many ids from_id..to_id of a symbol are verified absent.';

create function settle_candles(of_symbol text, from_id bigint, to_id bigint) returns void
language sql volatile set search_path = pg_catalog, public, pg_temp
begin atomic
    update fact_realtime_trades_1m as candle
    set is_complete = now_known.is_complete,
        verified_absent_count = now_known.verified_absent_count,
        updated_at = now()
    from (
        select
            held.open_time,
            verified_absent_id_count(of_symbol, held.first_trade_id, held.last_trade_id) as verified_absent_count,
            merged_id_count(of_symbol, neighbours.first_id, neighbours.last_id)
                + verified_absent_id_count(of_symbol, neighbours.first_id, neighbours.last_id)
                = neighbours.last_id - neighbours.first_id + 1 as is_complete
        from fact_realtime_trades_1m as held
        cross join lateral (
            select greatest(held.first_trade_id - 1, 0) as first_id, held.last_trade_id + 1 as last_id
        ) as neighbours
        where held.symbol = of_symbol
          and (not held.is_complete or held.verified_absent_count > 0)
          and held.first_trade_id <= to_id + 1
          and held.last_trade_id >= from_id - 1
    ) as now_known
    where candle.symbol = of_symbol
      and candle.open_time = now_known.open_time
      and (candle.is_complete, candle.verified_absent_count)
          is distinct from (now_known.is_complete, now_known.verified_absent_count);
end;

comment on function settle_candles is
    'Bring is_complete and verified_absent_count up to date for the candles of a symbol that the ids from_id..to_id '
    'concern. The caller holds the symbol''s advisory lock.';

create function settle_merged_ids(symbols text[], first_ids bigint[], last_ids bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, public, pg_temp
as $$
declare
    trimmed record;
begin
    for trimmed in
        delete from verified_absent_ids as absent
        using (
            select run.symbol, range_agg(int8range(run.first_id, run.last_id, '[]')) as ids
            from unnest(symbols, first_ids, last_ids) as run (symbol, first_id, last_id)
            group by run.symbol
        ) as merged
        where absent.symbol = merged.symbol
          and absent.first_id < upper(merged.ids)
          and absent.last_id >= lower(merged.ids)
          and int8range(absent.first_id, absent.last_id, '[]') && merged.ids
        returning
            absent.symbol, absent.last_id, absent.verified_at, absent.method, absent.answer,
            int8multirange(int8range(absent.first_id, absent.last_id, '[]')) - merged.ids as still_absent
    loop
        insert into verified_absent_ids (symbol, first_id, last_id, verified_at, method, answer)
        select trimmed.symbol, lower(piece), upper(piece) - 1, trimmed.verified_at, trimmed.method, trimmed.answer
        from unnest(trimmed.still_absent) as piece;
        -- The minutes before the next candle are perhaps not empty after all, which shows by a change of that candle.
        update fact_realtime_trades_1m as following
        set updated_at = now()
        where following.symbol = trimmed.symbol
          and following.first_trade_id = (
              select min(later.first_trade_id)
              from fact_realtime_trades_1m as later
              where later.symbol = trimmed.symbol and later.first_trade_id > trimmed.last_id
          );
    end loop;
    perform settle_candles(run.symbol, min(run.first_id), max(run.last_id))
    from unnest(symbols, first_ids, last_ids) as run (symbol, first_id, last_id)
    group by run.symbol;
end
$$;

comment on function settle_merged_ids is
    'Do what a merge of the given ids still owes to symbols that have verified absent ids: ids that are merged are '
    'absent no more, and the candles over absent ids are brought up to date. The caller holds the symbols'' locks, and '
    'has stored candles and ranges.';

create function record_absent_ids(symbol text, first_id bigint, last_id bigint, method text, answer text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
begin
    if record_absent_ids.symbol is null or record_absent_ids.first_id is null or record_absent_ids.last_id is null
        or record_absent_ids.first_id < 0 or record_absent_ids.first_id > record_absent_ids.last_id
    then
        raise exception 'ids %..% of % are no range of trade ids',
            record_absent_ids.first_id, record_absent_ids.last_id, record_absent_ids.symbol
            using errcode = 'invalid_parameter_value';
    end if;
    -- The lock of the merge: no id is merged while it is decided whether it is absent.
    perform pg_advisory_xact_lock(hashtextextended(record_absent_ids.symbol, 20170714));
    insert into verified_absent_ids (symbol, first_id, last_id, method, answer)
    select
        record_absent_ids.symbol, lower(piece), upper(piece) - 1, record_absent_ids.method, record_absent_ids.answer
    from unnest(
        int8multirange(int8range(record_absent_ids.first_id, record_absent_ids.last_id, '[]'))
        - coalesce(
            (
                select range_agg(int8range(known.first_id, known.last_id, '[]'))
                from (
                    select ranges.symbol, ranges.first_id, ranges.last_id from trade_id_ranges as ranges
                    union all
                    select absent.symbol, absent.first_id, absent.last_id from verified_absent_ids as absent
                ) as known
                where known.symbol = record_absent_ids.symbol
                  and known.last_id >= record_absent_ids.first_id
                  and known.first_id <= record_absent_ids.last_id
            ),
            int8multirange()
        )
    ) as piece;
    perform settle_candles(record_absent_ids.symbol, record_absent_ids.first_id, record_absent_ids.last_id);
end
$$;

comment on function record_absent_ids is
    'Record the trade ids first_id..last_id of a symbol as never issued, by the given method and answer of the '
    'exchange. Ids that are merged are left out, ids that are recorded already keep their record.';

create function record_gap_reason(symbol text, first_id bigint, last_id bigint, reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
begin
    -- What the new attempt repeats.
    delete from open_gap_reasons as tried
    where tried.symbol = record_gap_reason.symbol
      and tried.first_id >= record_gap_reason.first_id
      and tried.last_id <= record_gap_reason.last_id;
    -- Gaps that are closed: those that were not tried for the longest time, and not all, so that a call stays short.
    delete from open_gap_reasons as tried
    using (
        select oldest.first_id, oldest.last_id
        from open_gap_reasons as oldest
        where oldest.symbol = record_gap_reason.symbol
        order by oldest.tried_at
        limit 20
    ) as oldest
    where tried.symbol = record_gap_reason.symbol
      and tried.first_id = oldest.first_id
      and tried.last_id = oldest.last_id
      and merged_id_count(record_gap_reason.symbol, oldest.first_id, oldest.last_id)
          + verified_absent_id_count(record_gap_reason.symbol, oldest.first_id, oldest.last_id)
          = oldest.last_id - oldest.first_id + 1;
    insert into open_gap_reasons (symbol, first_id, last_id, reason)
    values (
        record_gap_reason.symbol, record_gap_reason.first_id, record_gap_reason.last_id, record_gap_reason.reason
    )
    on conflict on constraint open_gap_reasons_pkey
    do update set reason = excluded.reason, tried_at = excluded.tried_at;
end
$$;

comment on function record_gap_reason is
    'Record why the trade ids first_id..last_id of a symbol could not be fetched, at the time of the transaction.';

revoke execute on function
    merged_id_count(text, bigint, bigint),
    verified_absent_id_count(text, bigint, bigint),
    settle_candles(text, bigint, bigint),
    settle_merged_ids(text[], bigint[], bigint[]),
    record_absent_ids(text, bigint, bigint, text, text),
    record_gap_reason(text, bigint, bigint, text)
from public;

-- The merge settles what it changes; the producer records, and reads what its gap check needs.
grant execute on function
    merged_id_count(text, bigint, bigint),
    verified_absent_id_count(text, bigint, bigint),
    settle_candles(text, bigint, bigint),
    settle_merged_ids(text[], bigint[], bigint[])
to writer;
grant select, insert, delete on verified_absent_ids to writer;
grant usage on schema public to producer;
grant select on trade_id_gaps, verified_absent_ids, open_gap_reasons to producer;
grant execute on function
    record_absent_ids(text, bigint, bigint, text, text),
    record_gap_reason(text, bigint, bigint, text)
to producer;
grant select on verified_absent_ids, open_gap_reasons to transformer, reader;
