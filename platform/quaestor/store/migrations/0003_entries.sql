-- What came after what is told by numbers and not by clocks, which can go backwards. entry: grows by one with each row
-- that is added or found anew.

alter table iterations add column entry bigint;
update iterations set entry = numbered.number from (
    select iteration_id as id, row_number() over (order by created_at, iteration_id) as number from iterations
) as numbered where iteration_id = numbered.id;

alter table evidence add column entry bigint;
update evidence set entry = numbered.number from (
    select evidence_id as id, row_number() over (order by created_at, evidence_id desc) as number from evidence
) as numbered where evidence_id = numbered.id;

alter table verdicts add column entry bigint;
update verdicts set entry = numbered.number from (
    select verdict_id as id, row_number() over (order by created_at, verdict_id) as number from verdicts
) as numbered where verdict_id = numbered.id;
