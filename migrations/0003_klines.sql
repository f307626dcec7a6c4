-- The exchange's own candles, as the backfill fetches them: the twelve columns of /api/v3/klines, closed candles only.

create table raw_klines (
    symbol                  text            not null,
    open_time               timestamptz     not null,
    open                    numeric(27, 8)  not null,
    high                    numeric(27, 8)  not null,
    low                     numeric(27, 8)  not null,
    close                   numeric(27, 8)  not null,
    volume                  numeric(38, 8)  not null,
    close_time              timestamptz     not null,
    quote_volume            numeric(54, 16) not null,
    trade_count             bigint          not null,
    taker_buy_volume        numeric(38, 8)  not null,
    taker_buy_quote_volume  numeric(54, 16) not null,
    ignore                  text            not null,
    updated_at              timestamptz     not null default now(),
    primary key (symbol, open_time),
    check (date_trunc('minute', open_time, 'UTC') = open_time)
);

comment on table raw_klines is 'One row per symbol and UTC minute: the exchange''s official, closed one-minute kline.';
comment on column raw_klines.ignore is 'The exchange''s twelfth column, which it calls unused.';
comment on column raw_klines.updated_at is 'Start of the transaction that last changed the row.';

create index raw_klines_updated_at on raw_klines (updated_at);

-- No check on prices or volumes: bronze is what the exchange said, and the quality gate judges it.

create view freshness as
select hop, symbol, newest, newest_change
from (
    select 'fact_realtime_trades_1m' as hop, symbol, max(open_time) as newest, max(updated_at) as newest_change
    from fact_realtime_trades_1m group by symbol
    union all
    select 'raw_klines', symbol, max(open_time), max(updated_at) from raw_klines group by symbol
) as hops;

comment on view freshness is 'One row per hop and symbol: open time of the newest row, and when a row changed last.';

grant select, insert, update on raw_klines to writer;
grant select on freshness to writer;

create schema analytics;
comment on schema analytics is 'Built by dbt: bronze, silver, gold and reconciliation.';
grant usage, create on schema analytics to transformer;
grant usage on schema analytics to reader, writer;

grant select on all tables in schema public to transformer, reader;
alter default privileges in schema public grant select on tables to transformer, reader;
alter default privileges for role transformer in schema analytics grant select on tables to reader, writer;
