-- Who may write what until when. No keys: grants are serialised by the one row of lease_tokens, which each of them
-- updates, so that two at once conflict on any engine.

create table lease_tokens (newest bigint not null);

insert into lease_tokens values (0);

create table leases (                   -- only those that are held; one that is given back is deleted
    name varchar not null,
    token bigint not null,              -- grows with every grant of this store and is never given twice
    actor varchar not null,
    machine varchar not null,
    process bigint not null,
    started varchar not null,           -- when that process started, so that its number cannot be mistaken
    taken_at timestamp not null,
    renewed_at timestamp not null,
    expires_at timestamp not null
);
