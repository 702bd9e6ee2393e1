// What the machine is given: instructions, where their inputs lie, and where results go (operator.py fills it in).
#pragma once

#include <cstdint>

enum Op : int64_t { // the order of program.py's OPS
    ADD, SUB, MUL, DIV, GREATER, GREATER_EQUAL, EQUAL, WHERE, EXP, LOG, SIGMOID, SOFTPLUS, SHIFT, SCALE,
    SILU, ELU, CLAMP, ROUND, FLOOR, SQRT, TANH, ABS, COPY, AFFINE
};

// Columns out .. out + count from columns a, b, c and onward, where a step of 0 repeats one column; given_*: where the
// gradients of these lie. wanted: which operands need a gradient, as bits. undo: gradients pass from out to operands.
// SHIFT, SCALE: b counts parameters, not columns. AFFINE: count rows; a, b, given_out, given_a: where the numbers of its
// columns start in the pool; step_a inputs and step_b outputs a row; c, step_c: where weight and bias (or -1) start;
// given_b: where the weight starts once it is transposed, given_c: how long its rows are then.
struct Instruction {
    int64_t op, count, out, a, step_a, b, step_b, c, step_c, given_out, given_a, given_b, given_c, wanted, undo;
};

struct Input { // a column that is read anew each period
    int64_t offset, row_stride, period_stride;
    const void* data;
};

struct Job {
    const Instruction* instructions;
    const double* numbers; // two for each instruction
    const int32_t* pool;
    const Input* inputs;
    const int32_t* uniforms; // which parameter each of the first columns repeats for all scenarios
    const int32_t *states, *given_states; // where each state, and its gradient (or -1), is at the end of a period
    const void* parameters;  // (problem, parameter)
    void* gradient;          // (task, parameter), or null
    const void* start;       // (row, state)
    void* start_gradient;
    void* end; // (row, state)
    const void* end_gradient;
    void* cost; // (row, period)
    const void* cost_gradient;
    void* trajectory; // (block, period, state, scenario), or null, as while learning
    int64_t* ticks;   // spent by operation, forwards and in reverse; or null
    int64_t instruction_count, turn, input_count, uniform_count, state_count, column_count, given_count, parameter_count,
        cost_column, given_cost, rows, periods, kept, block, problems, tasks, threads;
};
