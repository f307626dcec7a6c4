-- The change feed of the candles: a revision on each candle, and a notification for each transaction that changes some.
--
-- A transaction that changes a candle holds its symbol's advisory lock until it has committed. So the revisions of one
-- symbol become visible in increasing order, and "where symbol = X and revision > R order by revision" returns each
-- candle that changed after R, as it is now, and skips none. Between symbols there is no such order.

-- No cache: each session would draw its numbers in advance, and not in the order of the locks.
create sequence candle_revisions cache 1;

-- Existing candles get revisions too: this writes the table anew, about 10 s for a million candles, and writers wait.
alter table fact_realtime_trades_1m add column revision bigint not null default nextval('candle_revisions');
alter sequence candle_revisions owned by fact_realtime_trades_1m.revision;
create index fact_realtime_trades_1m_revision on fact_realtime_trades_1m (symbol, revision);

comment on column fact_realtime_trades_1m.revision is
    'Number of the row''s last change, from one sequence; the changes of a symbol are committed in increasing order.';

-- A trigger, and no expression in the statements of the services: no statement can forget it.
create function new_candle_revision() returns trigger
language plpgsql
as $$
begin
    new.revision := nextval('public.candle_revisions');
    return new;
end
$$;

comment on function new_candle_revision is 'Give a changed candle the next revision.';

create trigger new_revision before update on fact_realtime_trades_1m
for each row execute function new_candle_revision();

create function notify_candle_changes() returns trigger
language plpgsql
as $$
begin
    perform pg_catalog.pg_notify('candle_changes', symbol) from (select distinct symbol from changed) as symbols;
    return null;
end
$$;

comment on function notify_candle_changes is
    'Notify the channel candle_changes, once a transaction for each symbol; listeners are notified after the commit.';

-- A trigger with a transition table is for one event.
create trigger notify_inserted after insert on fact_realtime_trades_1m
referencing new table as changed
for each statement execute function notify_candle_changes();

create trigger notify_updated after update on fact_realtime_trades_1m
referencing new table as changed
for each statement execute function notify_candle_changes();

grant usage on sequence candle_revisions to writer;
