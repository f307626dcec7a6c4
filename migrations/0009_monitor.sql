-- The role that the exporter of PostgreSQL's metrics logs in as. It reads the server's statistics and no table.

do $$
begin
    if not exists (select from pg_roles where rolname = 'monitor') then
        create role monitor login;
    end if;
    begin
        grant pg_monitor to monitor;
    exception when insufficient_privilege then -- on a server whose administrator is no superuser
        raise warning 'monitor sees its own statistics only; next: as an administrator, grant pg_monitor to monitor';
    end;
end
$$;

alter role monitor connection limit 5;
alter role monitor set default_transaction_read_only = on;
alter role monitor set statement_timeout = '10s';
