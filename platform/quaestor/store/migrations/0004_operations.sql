-- Alarms that stand or stood, the last look at them, and what left the store for good.

create table alarms (
    subject varchar not null,           -- freshness, quarantine, …
    system varchar not null,
    about varchar not null,             -- a part, a feature, a deployment: with the two before it names the alarm
    status varchar not null,            -- watch or stop
    sentence varchar not null,
    first_at timestamp not null,
    seen_at timestamp not null,
    told varchar,                       -- the status it was told as; null where nobody was told
    over_at timestamp
);

create table looks (looked_at timestamp not null);

create table deletions (
    deleted_at timestamp not null,
    actor varchar not null,
    system varchar not null,
    kind varchar not null,              -- decisions, outcomes, demand, quarantine or files
    up_to timestamp not null,           -- what was older than this
    rows bigint not null,
    reason varchar not null
);
