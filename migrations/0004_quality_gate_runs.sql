-- What the quality gate found, run by run, for the dashboard; and the role that the gate logs in as.

do $$
begin
    if not exists (select from pg_roles where rolname = 'gate') then
        create role gate login;
    end if;
end
$$;

alter role gate set statement_timeout = '120s';
alter role gate set search_path = public, analytics;

create table quality_gate_runs (
    run_time     timestamptz primary key,
    succeeded    boolean     not null,
    expectations integer     not null,
    failed       integer     not null,
    failures     text[]      not null,
    docs_path    text        not null,
    check (0 <= failed and failed <= expectations)
);

comment on table quality_gate_runs is 'One row per run of the checkpoint silver_gate, good or bad; old ones are forgotten.';
comment on column quality_gate_runs.failures is 'A line for each expectation that does not hold, with examples.';
comment on column quality_gate_runs.docs_path is
    'Path of the run''s page in the Data Docs, below site/ in their bucket; empty: it could not be published.';

-- The gate judges what dbt built, and looks at nothing else. It writes its own table alone, and takes old rows out of it.
grant usage on schema public, analytics to gate;
grant select on all tables in schema analytics to gate;
alter default privileges for role transformer in schema analytics grant select on tables to gate;
grant select, insert, delete on quality_gate_runs to gate;
grant select on quality_gate_runs to transformer, reader;
