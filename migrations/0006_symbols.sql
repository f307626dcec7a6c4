-- The life of a symbol: followed while SYMBOLS names it, retired afterwards. What is stored of a retired symbol is kept.

create table symbols (
    symbol          text        primary key,
    status          text        not null check (status in ('followed', 'retired')),
    followed_since  timestamptz,
    retired_at      timestamptz,
    check ((status = 'retired') = (retired_at is not null)),
    check (status = 'retired' or followed_since is not null)
);

comment on table symbols is
    'One row per symbol that was ever followed. The backfill brings it in line with SYMBOLS whenever it starts.';
comment on column symbols.followed_since is
    'When it was followed for the first time, or taken up again; null: before this table was there.';
comment on column symbols.retired_at is 'When it was no longer in SYMBOLS; null while it is followed.';

-- Which of the symbols with data are followed is known when the next backfill starts.
insert into symbols (symbol, status, retired_at)
select symbol, 'retired', now() from fact_realtime_trades_1m
union
select symbol, 'retired', now() from raw_klines;

grant select, insert, update on symbols to writer;
grant select on symbols to transformer, gate, reader;
