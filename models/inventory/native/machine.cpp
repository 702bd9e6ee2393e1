// Plays a program of column instructions through the periods of many scenarios, forwards and in reverse.
//
// The program is one period of a rollout (see lowering.py); this file knows arithmetic, not inventory. Scenarios are
// taken in blocks that stay in cache through all periods. In reverse each period is computed again from the state it
// began with, so memory grows with states and not with what a policy computes. Who knows beforehand what each cost
// counts learns block by block: the last periods are kept as they were computed until the block was played in reverse.
// Blocks are dealt to tasks and gradients are summed in the order of tasks: results do not depend on how many threads
// there are.

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "host.h"
#include "job.h"
#include "products.h"

constexpr int64_t ROWS_AT_ONCE = 8;

struct Timed { // adds the ticks until its end to an operation's, where a profile is wanted
    int64_t* spent;
    int64_t begun;
    Timed(const Job& job, int64_t entry) : spent(job.ticks ? job.ticks + entry : nullptr) {
        if (spent) begun = ticks();
    }
    ~Timed() {
        if (spent) *spent += ticks() - begun;
    }
};

enum Way { PLAY, REVERSE, LEARN };

template <class T> class Worker {
  public:
    Worker(const Job& job, Way way) : job(job), block(job.block), way(way), again(job.periods - (way == LEARN ? job.kept : 0)),
          first_state(job.uniform_count + job.input_count), far(job.column_count * job.block * int64_t(sizeof(T)) > (1 << 20)) {
        values.resize(job.kept * job.column_count * block);
        carried.resize(job.state_count * block);
        if (way == PLAY) return;
        if (way == LEARN) own_trajectory.resize(again * job.state_count * block);
        given.resize(job.given_count * block);
        std::memset(given + 0, 0, job.given_count * block * sizeof(T)); // and all 0 between periods, but for uniforms
        int64_t widest = 0;
        for (int64_t k = 0; k < job.instruction_count; ++k)
            if (job.instructions[k].op == AFFINE) widest = std::max(widest, job.instructions[k].step_b);
        turned.resize(ROWS_AT_ONCE * block * (widest + LANES<T>));
        transposed.resize(job.parameter_count);
        sums.resize(job.parameter_count);
        totals.resize(job.parameter_count);
    }

    void play(int64_t task) {
        const int64_t per_problem = job.rows / job.problems, tasks = job.tasks / job.problems;
        const int64_t problem = task / tasks, blocks = (per_problem + block - 1) / block;
        parameters = static_cast<const T*>(job.parameters) + problem * job.parameter_count;
        for (int64_t t = 0; t < job.kept; ++t)
            for (int64_t c = 0; c < job.uniform_count; ++c)
                std::fill_n(of_period(t) + c * block, block, parameters[job.uniforms[c]]);
        if (way != PLAY) prepare();
        const int64_t part = task % tasks, first = blocks * part / tasks, last = blocks * (part + 1) / tasks;
        for (int64_t b = first; b < last; ++b) {
            row = problem * per_problem + b * block;
            filled = std::min(block, (problem + 1) * per_problem - row);
            trajectory = way == LEARN ? own_trajectory + 0 : static_cast<T*>(job.trajectory);
            if (job.trajectory) trajectory += (problem * blocks + b) * job.periods * job.state_count * block;
            if (way != REVERSE) forward();
            if (way == PLAY) continue;
            backward();
            for (int64_t k = 0; k < job.parameter_count; ++k) totals[k] += sums[k], sums[k] = 0;
        }
        if (way != PLAY) fold(static_cast<T*>(job.gradient) + task * job.parameter_count);
    }

  private:
    const Job& job;
    const int64_t block;
    const Way way;
    const int64_t again; // periods, the first, that are computed again in reverse
    Aligned<T> values, given, carried, turned, own_trajectory;
    T* value = nullptr; // those of the period at hand
    T* trajectory = nullptr;
    std::vector<T> transposed, sums;
    std::vector<double> totals;
    const T* parameters = nullptr;
    const int64_t first_state;
    const bool far; // columns are more than a second-level cache holds
    int64_t row = 0, filled = 0;

    T* of_period(int64_t t) const { return values + t % job.kept * job.column_count * block; }

    int64_t at(int64_t i) const { return row + std::min(i, filled - 1); } // a block's rest repeats its last scenario

    void forward() {
        const T* start = static_cast<const T*>(job.start);
        for (int64_t c = 0; c < job.state_count; ++c)
            for (int64_t i = 0; i < block; ++i) carried[c * block + i] = start[at(i) * job.state_count + c];
        T *cost = static_cast<T*>(job.cost), *end = static_cast<T*>(job.end);
        for (int64_t t = 0; t < job.periods; ++t) {
            if (trajectory && t < again)
                std::memcpy(trajectory + t * job.state_count * block, carried + 0, job.state_count * block * sizeof(T));
            period(t, carried + 0);
            for (int64_t i = 0; i < filled; ++i) cost[(row + i) * job.periods + t] = value[job.cost_column * block + i];
            for (int64_t c = 0; c < job.state_count; ++c)
                std::memcpy(carried + c * block, value + job.states[c] * block, block * sizeof(T));
        }
        for (int64_t c = 0; c < job.state_count; ++c)
            for (int64_t i = 0; i < filled; ++i) end[(row + i) * job.state_count + c] = carried[c * block + i];
    }

    void backward() {
        const T *end = static_cast<const T*>(job.end_gradient), *cost = static_cast<const T*>(job.cost_gradient);
        for (int64_t c = 0; c < job.state_count; ++c)
            for (int64_t i = 0; i < block; ++i)
                carried[c * block + i] = end && i < filled ? end[(row + i) * job.state_count + c] : T(0);
        for (int64_t t = job.periods - 1; t >= 0; --t) {
            if (t >= again)
                value = of_period(t);
            else
                period(t, trajectory + t * job.state_count * block);
            for (int64_t i = 0; i < filled && job.given_cost >= 0; ++i)
                given[job.given_cost * block + i] += cost[(row + i) * job.periods + t];
            for (int64_t c = 0; c < job.state_count; ++c)
                for (int64_t i = 0; i < block && job.given_states[c] >= 0; ++i)
                    given[job.given_states[c] * block + i] += carried[c * block + i];
            for (int64_t k = job.turn; k < job.instruction_count; ++k) {
                const Instruction& of = job.instructions[k];
                Timed timed(job, of.undo ? AFFINE + 1 + of.op : of.op);
                if (!of.undo) {
                    compute(of, job.numbers + 2 * k);
                    continue;
                }
                undo(of, job.numbers + 2 * k);
                // What was passed on is cleared for what lies there next, while it is in cache.
                const bool pooled = of.op == AFFINE;
                clear(pooled ? job.pool[of.given_out] : of.given_out, pooled ? of.count * of.step_b : of.count);
            }
            std::memcpy(carried + 0, given + job.uniform_count * block, job.state_count * block * sizeof(T));
            clear(job.uniform_count, job.state_count);
        }
        T* start = static_cast<T*>(job.start_gradient);
        for (int64_t c = 0; c < job.state_count && start; ++c)
            for (int64_t i = 0; i < filled; ++i) start[(row + i) * job.state_count + c] = carried[c * block + i];
    }

    void clear(int64_t column, int64_t count) { std::memset(given + column * block, 0, count * block * sizeof(T)); }

    void period(int64_t t, const T* state) {
        value = of_period(t);
        std::memcpy(value + first_state * block, state, job.state_count * block * sizeof(T));
        for (int64_t k = 0; k < job.input_count; ++k) {
            const Input& input = job.inputs[k];
            const T* from = static_cast<const T*>(input.data) + input.offset + t * input.period_stride;
            T* to = value + (job.uniform_count + k) * block;
            for (int64_t i = 0; i < block; ++i) to[i] = from[at(i) * input.row_stride];
        }
        for (int64_t k = 0; k < job.turn; ++k) {
            Timed timed(job, job.instructions[k].op);
            compute(job.instructions[k], job.numbers + 2 * k);
        }
    }

    void compute(const Instruction& of, const double* number) {
        T* out = value + of.out * block;
        const T *a = value + of.a * block, *b = value + of.b * block, *c = value + of.c * block;
        const T low = T(number[0]), high = T(number[1]);
        auto one = [&](auto f) { columns1(out, a, of.step_a, of.count, block, f); };
        auto wide = [&](auto f) { vectors1(out, a, of.step_a, of.count, block, f); };
        auto two = [&](auto f) { columns2(out, a, of.step_a, b, of.step_b, of.count, block, f); };
        switch (of.op) {
        case ADD: return two([](T x, T y) { return x + y; });
        case SUB: return two([](T x, T y) { return x - y; });
        case MUL: return two([](T x, T y) { return x * y; });
        case DIV: return two([](T x, T y) { return x / y; });
        case GREATER: return two([](T x, T y) { return x > y ? T(1) : T(0); });
        case GREATER_EQUAL: return two([](T x, T y) { return x >= y ? T(1) : T(0); });
        case EQUAL: return two([](T x, T y) { return x == y ? T(1) : T(0); });
        case WHERE:
            for (int64_t k = 0; k < of.count; ++k) {
                const T *yes = b + k * of.step_b * block, *no = c + k * of.step_c * block;
                const T* when = a + k * of.step_a * block;
#pragma GCC ivdep
                for (int64_t i = 0; i < block; ++i) out[k * block + i] = when[i] != T(0) ? yes[i] : no[i];
            }
            return;
        case EXP: return wide([](Vector<T> x) { return exponential(x); });
        case LOG: return one([](T x) { return logarithm(x); });
        case SIGMOID: return wide([](Vector<T> x) { return sigmoid(x); });
        case SOFTPLUS: return one([](T x) { return softplus(x); });
        case SHIFT:
            return along(of, [&](int64_t c, int64_t s) { vector(out, c, s) = vector(a, c * of.step_a, s) + parameters[of.b + c * of.step_b]; });
        case SCALE:
            return along(of, [&](int64_t c, int64_t s) { vector(out, c, s) = vector(a, c * of.step_a, s) * parameters[of.b + c * of.step_b]; });
        case SILU: return wide([](Vector<T> x) { return x * sigmoid(x); });
        case ELU: return wide([](Vector<T> x) { return x > Vector<T>{} ? x : exponential(x) - 1.0f; });
        case CLAMP: return one([=](T x) { return x < low ? low : x > high ? high : x; });
        case ROUND: return one([](T x) { return T(sizeof(T) == 4 ? __builtin_rintf(x) : __builtin_rint(x)); });
        case FLOOR: return one([](T x) { return T(sizeof(T) == 4 ? __builtin_floorf(x) : __builtin_floor(x)); });
        case SQRT: return one([](T x) { return T(sizeof(T) == 4 ? __builtin_sqrtf(x) : __builtin_sqrt(x)); });
        case TANH: return wide([](Vector<T> x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; });
        case ABS: return one([](T x) { return x < T(0) ? -x : x; });
        case COPY: return one([](T x) { return x; });
        case AFFINE: {
            const int32_t *ins = job.pool + of.a, *outs = job.pool + of.b;
            const T* bias = of.step_c < 0 ? nullptr : parameters + of.step_c;
            fetch(ins, of.count * of.step_a);
            for (int64_t r = 0; r < of.count; ++r, ins += of.step_a, outs += of.step_b)
                affine<T>(value, ins, value, outs, parameters + of.c, of.step_b, bias, of.step_a, of.step_b, block, false);
        }
        }
    }

    void undo(const Instruction& of, const double* number) {
        const T *g = given + of.given_out * block, *y = value + of.out * block;
        const T *a = value + of.a * block, *b = value + of.b * block;
        T *ga = given + of.given_a * block, *gb = given + of.given_b * block, *gc = given + of.given_c * block;
        const int64_t sa = of.step_a, sb = of.step_b, sc = of.step_c;
        const T low = T(number[0]), high = T(number[1]);
        // first, second: what passes to operand a or b, from the result's gradient and two columns
        auto first = [&](const T* x, int64_t sx, const T* z, int64_t sz, auto f) {
            if (of.wanted & 1) spread(ga, sa, g, x, sx, z, sz, of.count, block, f);
        };
        auto second = [&](const T* x, int64_t sx, const T* z, int64_t sz, auto f) {
            if (of.wanted & 2) spread(gb, sb, g, x, sx, z, sz, of.count, block, f);
        };
        auto from_result = [&](auto f) { first(y, 1, y, 1, f); };
        auto from_operand = [&](auto f) { first(a, sa, a, sa, f); };
        switch (of.op) {
        case ADD:
            from_result([](T g, T, T) { return g; });
            return second(y, 1, y, 1, [](T g, T, T) { return g; });
        case SUB:
            from_result([](T g, T, T) { return g; });
            return second(y, 1, y, 1, [](T g, T, T) { return -g; });
        case MUL:
            first(b, sb, b, sb, [](T g, T x, T) { return g * x; });
            return second(a, sa, a, sa, [](T g, T x, T) { return g * x; });
        case DIV:
            first(b, sb, b, sb, [](T g, T x, T) { return g / x; });
            return second(b, sb, y, 1, [](T g, T x, T y) { return -g * y / x; });
        case WHERE:
            second(a, sa, a, sa, [](T g, T when, T) { return when != T(0) ? g : T(0); });
            if (of.wanted & 4)
                spread(gc, sc, g, a, sa, a, sa, of.count, block, [](T g, T when, T) { return when != T(0) ? T(0) : g; });
            return;
        case EXP: return from_result([](T g, T y, T) { return g * y; });
        case LOG: return from_operand([](T g, T x, T) { return g / x; });
        case SIGMOID: return from_result([](T g, T y, T) { return g * y * (T(1) - y); });
        case SOFTPLUS: return from_operand([](T g, T x, T) { return x > T(20) ? g : g * sigmoid(x); });
        case SHIFT: return share(of, g, nullptr, nullptr);
        case SCALE: return share(of, g, a, parameters + of.b);
        case SILU:
            return along(of, [&](int64_t c, int64_t i) {
                const Vector<T> x = vector(a, c * sa, i), s = sigmoid(x);
                if (of.wanted) vector(ga, c * sa, i) += vector(g, c, i) * s * (1.0f + x * (1.0f - s));
            });
        case ELU: return from_result([](T g, T y, T) { return y > T(0) ? g : g * (y + T(1)); });
        case CLAMP: return from_operand([=](T g, T x, T) { return x < low || x > high ? T(0) : g; });
        case SQRT: return from_result([](T g, T y, T) { return g / (T(2) * y); });
        case TANH: return from_result([](T g, T y, T) { return g * (T(1) - y * y); });
        case ABS: return from_operand([](T g, T x, T) { return x > T(0) ? g : x < T(0) ? -g : T(0); });
        case AFFINE: {
            const int32_t *ins = job.pool + of.a, *given_ins = job.pool + of.given_a, *outs = job.pool + of.given_out;
            for (int64_t first = 0; first < of.count; first += ROWS_AT_ONCE) { // both gradients, while rows are in cache
                const int64_t rows = std::min(ROWS_AT_ONCE, of.count - first);
                fetch(ins + first * sa, rows * sa);
                outer<T>(value, ins + first * sa, given + 0, outs + first * sb, rows, sa, sb, block,
                         sums.data() + of.c, sc < 0 ? nullptr : sums.data() + sc, turned + 0);
                for (int64_t r = first; r < first + rows && of.wanted & 1; ++r)
                    affine<T>(given + 0, outs + r * sb, given + 0, given_ins + r * sa, transposed.data() + of.given_b,
                              of.given_c, nullptr, sb, sa, block, true);
            }
        }
        } // what remains is a step function: its gradient is 0
    }

    // In a large network what was computed long ago is in memory, here and there: it is asked for before it is needed.
    void fetch(const int32_t* ids, int64_t count) const {
        for (int64_t k = 0; far && k < count; ++k)
            for (int64_t s = 0; s < block; s += 64 / int64_t(sizeof(T))) __builtin_prefetch(value + ids[k] * block + s);
    }

    Vector<T>& vector(T* columns, int64_t column, int64_t s) const {
        return *reinterpret_cast<Vector<T>*>(columns + column * block + s);
    }

    const Vector<T>& vector(const T* columns, int64_t column, int64_t s) const {
        return *reinterpret_cast<const Vector<T>*>(columns + column * block + s);
    }

    template <class F> void along(const Instruction& of, F f) {
        for (int64_t c = 0; c < of.count; ++c)
            for (int64_t s = 0; s < block; s += LANES<T>) f(c, s);
    }

    // A number that all scenarios share was added to a column, or (factors, columns) multiplied with it.
    void share(const Instruction& of, const T* g, const T* columns, const T* factors) {
        for (int64_t c = 0; c < of.count; ++c) {
            T* to = given + (of.given_a + c * of.step_a) * block;
            const T factor = factors ? factors[c * of.step_b] : T(1);
            Vector<T> sum = {};
            for (int64_t s = 0; s < block; s += LANES<T>) {
                const Vector<T> from = vector(g, c, s);
                if (of.wanted & 1) vector(to, 0, s) += from * factor;
                if (of.wanted & 2) sum += columns ? from * vector(columns, c * of.step_a, s) : from;
            }
            if (of.wanted & 2) sums[of.b + c * of.step_b] += total<T>(sum);
        }
    }

    void prepare() {
        std::fill(totals.begin(), totals.end(), 0.0);
        clear(0, job.uniform_count);
        for (int64_t n = 0; n < job.instruction_count; ++n) {
            const Instruction& of = job.instructions[n];
            if (of.op != AFFINE) continue;
            for (int64_t k = 0; k < of.step_a; ++k)
                for (int64_t j = 0; j < of.step_b; ++j)
                    transposed[of.given_b + j * of.given_c + k] = parameters[of.c + k * of.step_b + j];
        }
    }

    void fold(T* gradient) {
        for (int64_t k = 0; k < job.parameter_count; ++k) gradient[k] = T(totals[k]);
        for (int64_t c = 0; c < job.uniform_count; ++c) {
            Vector<T> sum = {};
            for (int64_t i = 0; i < block; i += LANES<T>) sum += *reinterpret_cast<Vector<T>*>(given + c * block + i);
            gradient[job.uniforms[c]] += total<T>(sum);
        }
    }
};

template <class T> void run(const Job& job, Way way) {
    std::atomic<int64_t> next{0};
    auto work = [&](const Job& own) {
        FlushDenormals flush;
        Worker<T> worker(own, way);
        for (int64_t task; (task = next++) < own.tasks;) worker.play(task);
    };
    Job silent = job; // a profile is that of the first thread
    silent.ticks = nullptr;
    std::vector<std::thread> others;
    for (int64_t k = 1; k < std::min(job.threads, job.tasks); ++k) others.emplace_back([&] { work(silent); });
    const int64_t begun = now(), first = ticks();
    work(job);
    if (job.ticks) job.ticks[2 * (AFFINE + 1)] += ticks() - first, job.ticks[2 * (AFFINE + 1) + 1] += now() - begun;
    for (auto& other : others) other.join();
}

extern "C" {
int64_t block_multiple_float() { return PAIR * LANES<float>; }
int64_t block_multiple_double() { return PAIR * LANES<double>; }
void play_float(const Job* job) { run<float>(*job, PLAY); }
void play_double(const Job* job) { run<double>(*job, PLAY); }
void reverse_float(const Job* job) { run<float>(*job, REVERSE); }
void reverse_double(const Job* job) { run<double>(*job, REVERSE); }
void learn_float(const Job* job) { run<float>(*job, LEARN); }
void learn_double(const Job* job) { run<double>(*job, LEARN); }
}
