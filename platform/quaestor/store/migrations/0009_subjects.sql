-- Whom a decision was about, as a keyed hash, so that it can be forgotten; and who was.

alter table decisions add column subject varchar;

create table forgotten (                -- what was decided about them before that moment does not come back
    system varchar not null,
    subject varchar not null,
    forgotten_at timestamp not null
);

create table forgotten_hours (          -- when the rounds had been decided that were forgotten: who learnt from them
    system varchar not null,
    hour timestamp not null,
    rounds bigint not null,
    forgotten_at timestamp not null
);
