-- Roles. Their passwords are set by the migration job from the environment, never here.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['writer', 'transformer', 'reader'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I login', role_name);
        end if;
    end loop;
end
$$;

-- Downstream models find late data by change time, with an overlap of ten minutes (see the dbt models).
-- That is exact only while no transaction of the services lasts longer than the overlap: these bounds see to it.
alter role writer set statement_timeout = '30s';
alter role writer set lock_timeout = '30s';
alter role writer set idle_in_transaction_session_timeout = '30s';
-- With the start of the others' open transactions the models need no such overlap: they know what they cannot have seen.
grant pg_read_all_stats to transformer;
alter role reader set default_transaction_read_only = on;
alter role reader set statement_timeout = '60s';

-- Tables are named without their schema everywhere, wherever dbt builds them.
alter role writer set search_path = public, analytics;
alter role transformer set search_path = public, analytics;
alter role reader set search_path = public, analytics;

revoke all on schema public from public;
grant usage on schema public to writer, transformer, reader;
