-- Times are UTC. No table carries a key, for DuckLake has none: every row is added by a transaction that is alone and
-- has looked whether it is there. Nor is there a sequence or an index; a test holds every migration to that.

create table ingested_files (
    digest varchar not null,             -- sha256 of the file's bytes
    name varchar not null,
    format varchar not null,
    summary json not null,
    ingested_at timestamp not null
);

create table context_schemas (
    schema_id varchar not null,
    numeric_names varchar[] not null,
    category_names varchar[] not null
);

create table decisions (
    system varchar not null,
    event_id varchar not null,          -- unique within the system
    decided_at timestamp not null,
    iteration_id varchar,               -- the policy that decided; another platform's name for imported logs
    schema_id varchar not null,
    numeric_features double[] not null, -- in the order of the schema's names; null where missing
    category_features varchar[] not null,
    eligible varchar[] not null,
    propensities double[],              -- over the eligible actions; null where only the chosen one was logged
    action varchar not null,
    propensity double not null,         -- of the chosen action
    fallback boolean not null,          -- the default action was taken because the policy failed
    file_digest varchar not null
);

create table outcomes (
    system varchar not null,
    event_id varchar not null,
    revision integer not null,          -- 0 first; a correction carries a higher one and edits nothing
    observed_at timestamp not null,
    reward double not null,
    file_digest varchar not null
);

create table demand (
    system varchar not null,
    product varchar not null,
    store varchar not null,
    period integer not null,
    starts_on date,
    units double not null,              -- as recorded: a return is negative
    file_digest varchar not null
);

create table quarantine (
    row_digest varchar not null,
    system varchar not null,
    kind varchar not null,              -- decisions, outcomes or demand
    code varchar not null,
    reason varchar not null,
    content json not null,              -- the row as it came
    row_number bigint not null,
    file_digest varchar not null,
    quarantined_at timestamp not null,
    released_at timestamp               -- when its decision arrived after all
);

create table networks (
    network_id varchar not null,             -- sha256 of the content
    name varchar not null,
    content json not null,
    added_at timestamp not null
);

create table iterations (
    iteration_id varchar not null,             -- sha256 of the manifest, which names every file by its sha256
    system varchar not null,
    parent_id varchar,
    inputs_digest varchar not null,     -- configuration, data, seed and code: what determines the iteration
    policy varchar not null,
    manifest json not null,
    folder varchar not null,            -- relative to the data directory
    created_at timestamp not null
);

create table evidence (
    evidence_id varchar not null,
    iteration_id varchar not null,
    kind varchar not null,              -- evaluation, certificate, learning_curve, plays, calibration, alarms
    incumbent_id varchar,
    content json not null,
    created_at timestamp not null
);

create table verdicts (
    verdict_id varchar not null,
    iteration_id varchar not null,
    incumbent_id varchar,
    stage varchar not null,
    reasons varchar[] not null,
    evidence_ids varchar[] not null,
    created_at timestamp not null
);

create table live (
    system varchar not null,
    iteration_id varchar not null,
    since timestamp not null
);

create table bundles (
    bundle_digest varchar not null,
    iteration_id varchar not null,
    folder varchar not null,
    created_at timestamp not null
);

create table audit (
    entry bigint not null,              -- in the order of the transactions
    entered_at timestamp not null,
    actor varchar not null,
    action varchar not null,            -- register, verdict, promote, reject, rollback, export
    system varchar not null,
    iteration_id varchar not null,
    previous_id varchar,
    reason varchar not null
);
