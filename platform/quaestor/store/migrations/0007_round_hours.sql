-- Rounds counted by the hour of their decision, kept at ingest so that no screen has to read every event. Rows are only
-- added; their sums count.

create table round_hours (
    system varchar not null,
    hour timestamp not null,            -- in which the decisions were taken
    delay integer,                      -- seconds until their first outcome, rounded up: to minutes within the first
                                        -- hour, then to hours; null: the decisions themselves
    rounds bigint not null              -- below 0 where an earlier outcome came after a later one
);

insert into round_hours
select system, date_trunc('hour', decided_at), null, count(*) from decisions group by all;

insert into round_hours
select system, date_trunc('hour', decided_at),
    case when seconds <= 3600 then 60 * ceil(seconds / 60) else 3600 * ceil(seconds / 3600) end, count(*)
from (
    select system, any_value(decided_at) as decided_at, epoch(min(observed_at) - any_value(decided_at)) as seconds
    from outcomes group by system, event_id
)
group by all;
