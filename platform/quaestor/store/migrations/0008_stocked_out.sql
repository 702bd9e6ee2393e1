-- Records of sales in periods that ended without stock: demand was at least as much.

alter table demand add column stocked_out boolean;   -- null: not known to be
