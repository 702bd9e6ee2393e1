-- A row's key is found by its hash, eight bytes that are read instead of whole ids; equality is always judged on the key.

alter table decisions add column key_hash ubigint;
alter table outcomes add column key_hash ubigint;
alter table demand add column key_hash ubigint;

create table key_hashing (              -- which hash function the hashes are of
    probe ubigint not null,             -- hash('quaestor', 'key')
    since timestamp not null
);
