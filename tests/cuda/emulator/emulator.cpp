#include "emulator.h"
#include "emulated_block.h"
#include "ptx.h"
#include <algorithm>
#include <cfenv>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace {

/* Registrations run before main, in any order among files. */
std::map<std::string, emulator::kernel> &kernels() {
    static auto &all = *new std::map<std::string, emulator::kernel>;
    return all;
}

thread_local uint64_t own_seed, launches;
thread_local bool seeded;

} // namespace

uint64_t emulator::draw() {
    if (!seeded) {
        const char *text = getenv("QR_EMULATOR_SEED");
        emulator::seed(text ? strtoull(text, nullptr, 10) : 1);
    }
    return own_seed + 0x10001 * launches++;
}

namespace {

/* What the compiler's checks of kernels end in (a wrong index, alignment, shift ...), too. */
constexpr int FAULTS[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
struct sigaction previous_faults[64];

/* An access that no wrapper sees, named by the thread that made it. */
void on_fault(int number, siginfo_t *info, void *) {
    emulated::lane *l = emulated::current;
    if (!l) {
        sigaction(number, &previous_faults[number], nullptr); // happens again, and is theirs
        return;
    }
    auto at = (const unsigned char *)info->si_addr;
    if (number != SIGSEGV && number != SIGBUS)
        emulated::fail(l->where, "a wrong index, alignment, shift or division (%s; gdb shows it)",
                       strsignal(number));
    if (emulated::stack_is_below(at))
        emulated::fail(l->where, "uses more stack than a thread has here (64 KB)");
    if (at >= l->shared + l->shared_bytes && at < l->shared + l->shared_bytes + 4096)
        emulated::fail(l->where, "accesses byte %zu of shared memory, which has %zu",
                       (size_t)(at - l->shared), l->shared_bytes);
    emulated::fail(l->where, "accesses memory at %p, where there is none", (const void *)at);
}

} // namespace

namespace emulated {

void fail(place where, const char *format, ...) {
    lane *l = current;
    va_list list;
    va_start(list, format);
    char text[600];
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (l)
        fprintf(stderr,
                "emulator: %s, block (%u, %u, %u), thread %u, at or behind %s:%d: %s"
                " (QR_EMULATOR_SEED=%llu, launch %llu of its host thread)\n",
                l->of->config.what->name, l->block_index.x, l->block_index.y, l->block_index.z,
                l->number, where.file, where.line, text, (unsigned long long)own_seed,
                (unsigned long long)launches);
    else
        fprintf(stderr, "emulator: %s\n", text);
    current = nullptr;
    abort();
}

/* FILE:LINE, where the file's path may be cut in front. */
struct left_out {
    int line = 0;
    std::string file;
    left_out() {
        std::string text = getenv("QR_EMULATOR_WITHOUT") ? getenv("QR_EMULATOR_WITHOUT") : "";
        size_t colon = text.rfind(':');
        if (colon == std::string::npos)
            return;
        line = std::stoi(text.substr(colon + 1));
        file = text.substr(0, colon);
    }
};

bool is_left_out(place where) {
    static const left_out out;
    if (where.line != out.line)
        return false;
    size_t length = strlen(where.file);
    return length >= out.file.size() && out.file == where.file + length - out.file.size();
}

/* The handler has a stack of its own: the fiber's may be what ended. */
void catch_faults() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int number : FAULTS)
            sigaction(number, &action, &previous_faults[number]);
    });
    struct alternate {
        stack_t s = {};
        alternate() {
            s.ss_size = 64 * 1024;
            s.ss_sp = malloc(s.ss_size);
            sigaltstack(&s, nullptr);
        }
        ~alternate() {
            s.ss_flags = SS_DISABLE;
            sigaltstack(&s, nullptr);
            free(s.ss_sp);
        }
    };
    static thread_local alternate own;
    (void)own.s.ss_size;
}

} // namespace emulated

namespace emulator {

registration::registration(kernel registered) {
    if (!kernels().emplace(registered.name, registered).second) {
        fprintf(stderr, "emulator: two kernels are called %s\n", registered.name);
        abort();
    }
}

const kernel *find(const char *name) {
    if (const ptx::module *compiled = ptx::of_environment())
        return compiled->find(name);
    auto found = kernels().find(name);
    return found == kernels().end() ? nullptr : &found->second;
}

void seed(uint64_t value) {
    own_seed = value;
    launches = 0;
    seeded = true;
}

/** Blocks by number: a walk through all of them by a step that has no divisor in common with their
 * count. */
struct grid::state {
    launch_config config;
    std::unique_ptr<std::max_align_t[]> args;
    emulated::random_bits random;
    uint64_t count, first, step, next = 0;
    std::vector<std::unique_ptr<emulated::block>> held;

    state(const launch_config &c, const void *bytes)
        : config(c), args(new std::max_align_t[c.what->args_bytes / sizeof(std::max_align_t) + 1]),
          random(draw()), count((uint64_t)c.grid.x * c.grid.y * c.grid.z) {
        memcpy(args.get(), bytes, c.what->args_bytes);
        config.programmatic = c.programmatic && c.what->may_begin_early;
        first = count ? random.next() % count : 0;
        do
            step = 1 + random.next() % (count ? count : 1);
        while (std::gcd(step, count) > 1);
    }

    void run_in_turn();
    void run_together();

    std::unique_ptr<emulated::block> make(bool begins_early) {
        uint64_t i = (first + next++ * step) % count;
        emulated::index at = {(uint32_t)(i % config.grid.x),
                              (uint32_t)(i / config.grid.x % config.grid.y),
                              (uint32_t)(i / config.grid.x / config.grid.y)};
        uint64_t block_seed = (uint64_t)random.next() << 32 | random.next();
        return std::make_unique<emulated::block>(config, args.get(), at, block_seed, begins_early);
    }
};

grid::grid(const launch_config &config, const void *args) : own(new state(config, args)) {
    if (config.threads == 0 || config.threads % emulated::LANES || config.threads > 1024)
        emulated::fail({"", 0}, "%s: %u threads are not 1 to 32 whole warps", config.what->name,
                       config.threads);
}

grid::~grid() = default;

/** Kernels meet the processor's default rounding, whatever the host thread has set. */
struct default_arithmetic {
    fenv_t before;
    default_arithmetic() {
        emulated::catch_faults();
        fegetenv(&before);
        fesetenv(FE_DFL_ENV);
    }
    ~default_arithmetic() { fesetenv(&before); }
};

void grid::begin() {
    if (!own->config.what->may_begin_early)
        return;
    default_arithmetic here;
    for (uint32_t i = 1 + own->random.next() % 4; i-- && own->next < own->count;) {
        auto b = own->make(true);
        if (!b->run())
            own->held.push_back(std::move(b));
    }
}

/** One after the other: none may wait for another. */
void grid::state::run_in_turn() {
    for (auto &b : held) {
        b->release();
        if (!b->run())
            b->report_alone("and they need not run at the same time");
        b.reset();
    }
    held.clear();
    while (next < count) {
        auto b = make(false);
        if (!b->run())
            b->report_alone("and they need not run at the same time");
    }
}

/** By turns, in another order each time: what a block does between two waits for others it does
 * alone. A round in which nobody ended or gave a signal is the last. */
void grid::state::run_together() {
    while (next < count) {
        auto b = make(false);
        if (!b->run())
            held.push_back(std::move(b));
    }
    while (!held.empty()) {
        const uint64_t signals = emulated::signals;
        const size_t before = held.size();
        for (size_t i = held.size(); i-- > 1;)
            std::swap(held[i], held[random.next() % (i + 1)]);
        for (auto &b : held) {
            b->release();
            if (b->run())
                b.reset();
        }
        held.erase(std::remove(held.begin(), held.end(), nullptr), held.end());
        if (held.size() == before && emulated::signals == signals)
            held[0]->report_alone("none of which goes on");
    }
}

void grid::finish() {
    default_arithmetic here;
    if (own->config.cooperative)
        own->run_together();
    else
        own->run_in_turn();
}

void launch(const char *name, size3 size, uint32_t shared, const void *args, size_t args_bytes) {
    const kernel *k = find(name);
    if (!k || k->args_bytes != args_bytes)
        emulated::fail({"", 0}, k ? "%s: its args have another size" : "there is no kernel %s",
                       name);
    grid(launch_config{k, size, k->threads, shared, false}, args).finish();
}

} // namespace emulator
