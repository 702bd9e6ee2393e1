-- What order policies ordered, as the service recorded it: one row for all orders of a product in a period.

create table orders (
    system varchar not null,
    product varchar not null,
    period integer not null,            -- unique with the product within the system
    decided_at timestamp not null,
    iteration_id varchar not null,      -- the policy that ordered
    sources varchar[] not null,         -- of each order, in the order of units
    targets varchar[] not null,
    units double[] not null,
    readings varchar,                   -- what the policy saw, as JSON; null where it was not recorded
    key_hash ubigint,
    file_digest varchar not null
);
