-- What the streaming half writes: candles, the ids merged into them, and the list of archived objects.

create table fact_realtime_trades_1m (
    symbol                  text            not null,
    open_time               timestamptz     not null,
    open                    numeric(27, 8)  not null,
    high                    numeric(27, 8)  not null,
    low                     numeric(27, 8)  not null,
    close                   numeric(27, 8)  not null,
    volume                  numeric(38, 8)  not null,
    quote_volume            numeric(54, 16) not null,
    trade_count             bigint          not null,
    taker_buy_volume        numeric(38, 8)  not null,
    taker_buy_quote_volume  numeric(54, 16) not null,
    vwap                    numeric(27, 8)  generated always as (round(quote_volume / volume, 8)) stored,
    first_trade_id          bigint          not null,
    last_trade_id           bigint          not null,
    is_complete             boolean         not null default false,
    updated_at              timestamptz     not null default now(),
    primary key (symbol, open_time),
    check (date_trunc('minute', open_time, 'UTC') = open_time),
    check (low <= open and low <= close and open <= high and close <= high),
    check (low > 0 and volume > 0 and trade_count > 0 and first_trade_id <= last_trade_id),
    check (taker_buy_volume between 0 and volume and taker_buy_quote_volume between 0 and quote_volume)
);

comment on table fact_realtime_trades_1m is
    'One row per symbol and UTC minute with trades: what all merged trades of that minute add up to.';
comment on column fact_realtime_trades_1m.is_complete is
    'Every trade id from first_trade_id - 1 to last_trade_id + 1 is merged: nothing is missing and both neighbours join on.';
comment on column fact_realtime_trades_1m.vwap is 'quote_volume / volume, rounded to 8 decimals.';
comment on column fact_realtime_trades_1m.updated_at is 'Start of the transaction that last changed the row.';

create index fact_realtime_trades_1m_updated_at on fact_realtime_trades_1m (updated_at);
create index fact_realtime_trades_1m_incomplete on fact_realtime_trades_1m (symbol, first_trade_id)
    where not is_complete;

create table trade_id_ranges (
    symbol    text   not null,
    first_id  bigint not null,
    last_id   bigint not null,
    primary key (symbol, first_id),
    check (first_id <= last_id)
);

comment on table trade_id_ranges is
    'Per symbol the disjoint, non-adjacent closed ranges of trade ids merged so far: what makes a replay harmless.';

create unique index trade_id_ranges_last_id on trade_id_ranges (symbol, last_id);

create table raw_objects (
    object_key  text        primary key,
    symbol      text        not null,
    hour        timestamptz not null,
    first_id    bigint      not null,
    last_id     bigint      not null,
    value_count integer     not null,
    byte_count  bigint      not null,
    created_at  timestamptz not null default now()
);

comment on table raw_objects is
    'One row per archived object. An object that is not listed here does not exist for readers and is swept.';

create index raw_objects_hour on raw_objects (hour, symbol);

create view trade_id_gaps as
select
    symbol,
    last_id + 1                   as first_missing_id,
    next_first_id - 1             as last_missing_id,
    next_first_id - last_id - 1   as missing_count
from (
    select symbol, last_id, lead(first_id) over (partition by symbol order by first_id) as next_first_id
    from trade_id_ranges
) as neighbours
where next_first_id is not null;

comment on view trade_id_gaps is 'One row per run of trade ids that lie between merged ones and are missing.';

create view completeness as
select
    symbol,
    count(*)                                    as candles,
    count(*) filter (where is_complete)         as complete_candles,
    min(open_time)                              as first_open_time,
    max(open_time)                              as last_open_time,
    max(open_time) filter (where is_complete)   as last_complete_open_time
from fact_realtime_trades_1m
group by symbol;

comment on view completeness is 'One row per symbol: how many realtime candles there are and how many are complete.';

grant select, insert, update on fact_realtime_trades_1m to writer;
grant select, insert, update, delete on trade_id_ranges to writer;
grant select, insert, delete on raw_objects to writer;
grant select on trade_id_gaps, completeness to writer;
