-- Let the next run of dbt look at all candles once. Minutes without trades were not known to be empty before, and a run
-- looks only at what changed since the one before it.
do $$
begin
    if to_regclass('analytics.change_marks') is not null then
        update analytics.change_marks
        set seen_until = '-infinity'
        where model in ('silver_klines_1m', 'reconciliation_klines_1m');
    end if;
end
$$;
