-- Which actions were eligible is said once for all rounds that had the same: most rounds offer what others do, and
-- lists of names are the dearest part of a round to write.

create table eligible_sets (
    eligible_id integer not null,       -- from 1, in the order in which this store met them
    actions varchar[] not null          -- in the order of the round's propensities; each list once
);

insert into eligible_sets
select row_number() over (order by eligible), eligible from (select distinct eligible from decisions);

create table rounds (
    system varchar not null,
    event_id varchar not null,          -- unique within the system
    decided_at timestamp not null,
    iteration_id varchar,               -- the policy that decided; another platform's name for imported logs
    schema_id varchar not null,
    numeric_features double[] not null, -- in the order of the schema's names; null where missing
    category_features varchar[] not null,
    eligible_id integer not null,
    propensities double[],              -- over the eligible actions; null where only the chosen one was logged
    action varchar not null,
    propensity double not null,         -- of the chosen action
    fallback boolean not null,          -- the default action was taken because the policy failed
    file_digest varchar not null,
    key_hash ubigint,
    subject varchar
);

insert into rounds by name
select d.* exclude (eligible), eligible_id from decisions d join eligible_sets on actions = eligible;

drop table decisions;

alter table rounds rename to decisions;
