-- When the decision of an outcome was taken, beside the outcome: how rounds stand can be counted without joining them.

alter table outcomes add column decided_at timestamp;

update outcomes set decided_at = d.decided_at
from decisions d where d.system = outcomes.system and d.event_id = outcomes.event_id;
