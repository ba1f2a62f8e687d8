#include "ptx_traffic.h"
#include "emulated_block.h"
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

using emulated::LANES;

namespace ptx {

/* The most often that a bank is asked for different words; lanes that want one word share it. */
static uint64_t turns(const std::set<uint64_t> &words) {
    uint64_t of_bank[32] = {}, most = 0;
    for (uint64_t word : words)
        most = std::max(most, ++of_bank[word % 32]);
    return most;
}

cost shared_cost(const uint64_t address[32], uint32_t mask, uint32_t bytes) {
    const uint32_t together = bytes <= 4 ? 32 : 128 / bytes;
    cost all = {0, 0};
    for (uint32_t first = 0; first < LANES; first += together) {
        std::set<uint64_t> words;
        for (uint32_t lane = first; lane < first + together; lane++)
            for (uint32_t at = 0; (mask >> lane & 1) && at < bytes; at += 4)
                words.insert((address[lane] + at) / 4);
        all.needed += turns(words);
        all.least += (words.size() + 31) / 32;
    }
    return all;
}

cost global_cost(const uint64_t address[32], uint32_t mask, uint32_t bytes) {
    std::set<uint64_t> sectors, units;
    const uint32_t unit = std::min(bytes, 4u);
    for (uint32_t lane = 0; lane < LANES; lane++)
        for (uint32_t at = 0; (mask >> lane & 1) && at < bytes; at += unit) {
            sectors.insert((address[lane] + at) / 32);
            units.insert((address[lane] + at) / unit);
        }
    return {sectors.size(), (units.size() * unit + 31) / 32};
}

namespace {

/* One instruction of a warp, for the n-th time. */
struct access {
    uint64_t address[LANES];
    uint32_t mask = 0, bytes = 0;
};

/* line, whether shared, n */
using access_key = std::tuple<uint32_t, bool, uint32_t>;

struct counted_warp {
    uint32_t ended = 0;
    std::map<access_key, access> accesses;
    std::map<std::pair<uint32_t, bool>, std::array<uint32_t, LANES>> times;
};

struct total {
    uint64_t count = 0, needed = 0, least = 0;
    void add(const total &more) {
        count += more.count;
        needed += more.needed;
        least += more.least;
    }
};

struct counters {
    std::mutex lock;
    std::map<std::pair<const emulated::block *, uint32_t>, counted_warp> warps;
    std::map<std::tuple<std::string, std::string, uint32_t>, total> totals; /* kernel, what, line */
};

counters &all() {
    static counters &made = *new counters;
    return made;
}

const char *name_of(code what, bool is_shared) {
    switch (what) {
    case code::ld_global:
        return "ld.global";
    case code::st_global:
        return "st.global";
    case code::ld_shared:
        return "ld.shared";
    case code::st_shared:
        return "st.shared";
    case code::cp_async:
        return is_shared ? "cp.async, shared" : "cp.async, global";
    default:
        return "ldmatrix";
    }
}

/* A row of each kernel and instruction, and the line of the text that is worst where one is bad. */
void print() {
    std::map<std::pair<std::string, std::string>, std::pair<total, uint32_t>> rows;
    for (const auto &[key, one] : all().totals) {
        auto &[sum, worst] = rows[{std::get<0>(key), std::get<1>(key)}];
        sum.add(one);
        const auto worst_total = all().totals.find({std::get<0>(key), std::get<1>(key), worst});
        const uint64_t excess = one.needed - one.least;
        if (excess &&
            (worst == 0 || excess > worst_total->second.needed - worst_total->second.least))
            worst = std::get<2>(key);
    }
    puts("| kernel | instruction | of a warp | turns or sectors | least | worst line |");
    puts("|---|---|---|---|---|---|");
    for (const auto &[key, row] : rows)
        printf("| %s | %s | %llu | %llu | %llu | %u |\n", key.first.c_str(), key.second.c_str(),
               (unsigned long long)row.first.count, (unsigned long long)row.first.needed,
               (unsigned long long)row.first.least, row.second);
}

} // namespace

bool counts_traffic() {
    static const bool wanted = [] {
        const bool is_set = getenv("QR_EMULATOR_PTX_TRAFFIC") != nullptr;
        if (is_set)
            atexit(print);
        return is_set;
    }();
    return wanted;
}

void count_access(const op &o, bool is_shared, uint64_t address, uint32_t bytes) {
    const emulated::lane &l = *emulated::current;
    const uint32_t i = l.number % LANES;
    std::lock_guard<std::mutex> hold(all().lock);
    counted_warp &w = all().warps[{l.of, l.number / LANES}];
    const uint32_t n = w.times[{o.line, is_shared}][i]++;
    access &a = w.accesses[{o.line, is_shared, n}];
    a.address[i] = address;
    a.mask |= 1u << i;
    a.bytes = bytes;
}

counted_lane::counted_lane(const program &runs) : p(runs) {}

counted_lane::~counted_lane() {
    if (!counts_traffic())
        return;
    const emulated::lane &l = *emulated::current;
    std::lock_guard<std::mutex> hold(all().lock);
    counted_warp &w = all().warps[{l.of, l.number / LANES}];
    if (++w.ended < LANES)
        return;
    std::map<uint32_t, const op *> ops; /* by line */
    for (const op &o : p.ops)
        ops[o.line] = &o;
    for (const auto &[key, a] : w.accesses) {
        const auto [line, is_shared, n] = key;
        const cost c = (is_shared ? shared_cost : global_cost)(a.address, a.mask, a.bytes);
        all().totals[{p.name, name_of(ops[line]->what, is_shared), line}].add(
            {1, c.needed, c.least});
    }
    all().warps.erase({l.of, l.number / LANES});
}

} // namespace ptx
