# mypy: ignore-errors
"""Stockpyl's optimal costs of the instances on standard input, as JSON; run by `inventory_yardsticks`."""

import json
import sys

from stockpyl.newsvendor import newsvendor_normal, newsvendor_poisson
from stockpyl.ss import s_s_discrete_exact
from stockpyl.ssm_serial import optimize_base_stock_levels

given = json.load(sys.stdin)
answers = [newsvendor_normal(h, p, mean, sd)[1] for mean, sd, h, p in given["normal"]]
answers += [newsvendor_poisson(h, p, mean)[1] for mean, h, p in given["poisson"]]
answers += [s_s_discrete_exact(h, p, K, True, mean)[2] for mean, h, p, K in given["fixed"]]
for mean, sd, leads, echelon, p in given["serial"]:
    stages = len(leads)
    answers.append(
        optimize_base_stock_levels(
            num_nodes=stages,
            node_order_in_lists=list(range(1, stages + 1)),
            echelon_holding_cost=echelon,
            lead_time=leads,
            stockout_cost=p,
            demand_mean=mean,
            demand_standard_deviation=sd,
            x_num=given["cells"],
            d_num=given["cells"] // 10,
            **dict.fromkeys(
                ("ltd_lower_tail_prob", "ltd_upper_tail_prob", "sum_ltd_lower_tail_prob", "sum_ltd_upper_tail_prob"),
                1e-09,
            ),
        )[1]
    )
json.dump([float(answer) for answer in answers], sys.stdout)
