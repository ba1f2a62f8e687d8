/* Which registers hold something where, and the slots that they get by that. */
#include "ptx_program.h"
#include <algorithm>

namespace ptx {

namespace {

/* A set of registers. */
class set {
  public:
    explicit set(size_t size = 0) : words((size + 63) / 64) {}
    void add(uint32_t i) { words[i / 64] |= 1ull << i % 64; }
    void remove(uint32_t i) { words[i / 64] &= ~(1ull << i % 64); }
    bool operator==(const set &other) const { return words == other.words; }
    void add_all(const set &other) {
        for (size_t i = 0; i < words.size(); i++)
            words[i] |= other.words[i];
    }
    template <class F> void each(F f) const {
        for (size_t i = 0; i < words.size(); i++)
            for (uint64_t left = words[i]; left; left &= left - 1)
                f((uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(left));
    }

  private:
    std::vector<uint64_t> words;
};

bool is_register(const operand &x) {
    return !(x.id & operand::CONSTANT);
}

/* Ops without a branch in or out but at the ends. */
struct stretch {
    size_t begin, end;
    std::vector<size_t> next; /* stretches */
    set live; /* registers that are read from its begin on, before they are written */
};

bool is_branch(code what) {
    return what == code::bra || what == code::bra_if || what == code::bra_unless;
}

bool is_skip(code what) {
    return what == code::skip_if || what == code::skip_unless;
}

/* Where control may go behind op i. */
std::vector<size_t> successors(const draft &d, size_t i) {
    const op &o = d.ops[i].made;
    std::vector<size_t> all;
    if (is_branch(o.what))
        all.push_back((size_t)o.offset);
    if (is_skip(o.what))
        all.push_back(i + 2);
    if (o.what != code::bra && o.what != code::ret)
        all.push_back(i + 1);
    return all;
}

std::vector<stretch> stretches_of(const draft &d) {
    std::vector<bool> starts(d.ops.size() + 1);
    starts[0] = true;
    for (size_t i = 0; i < d.ops.size(); i++) {
        const std::vector<size_t> next = successors(d, i);
        if (next.size() == 1 && next[0] == i + 1)
            continue;
        starts[i + 1] = true;
        for (size_t to : next)
            starts[to] = true;
    }
    std::vector<stretch> all;
    std::vector<size_t> at(d.ops.size() + 1);
    for (size_t i = 0; i < d.ops.size(); i++) {
        if (starts[i])
            all.push_back({i, i, {}, set(d.sizes.size())});
        all.back().end = i + 1;
        at[i] = all.size() - 1;
    }
    for (stretch &s : all)
        for (size_t to : successors(d, s.end - 1))
            s.next.push_back(at[to]);
    return all;
}

/* What is live behind a stretch. */
set live_behind(const draft &d, const std::vector<stretch> &all, const stretch &s) {
    set live(d.sizes.size());
    for (size_t to : s.next)
        live.add_all(all[to].live);
    return live;
}

/* From behind op o to in front of it. */
void step_back(set &live, const draft_op &o) {
    for (const operand &x : o.operands)
        if (is_register(x) && x.is_written)
            live.remove(x.id);
    for (const operand &x : o.operands)
        if (is_register(x) && !x.is_written)
            live.add(x.id);
}

void find_live(const draft &d, std::vector<stretch> &all) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = all.size(); i-- > 0;) {
            set live = live_behind(d, all, all[i]);
            for (size_t j = all[i].end; j-- > all[i].begin;)
                step_back(live, d.ops[j]);
            changed = changed || !(live == all[i].live);
            all[i].live = live;
        }
    }
}

/* The ops between which a register keeps its slot. */
struct interval {
    size_t begin = SIZE_MAX, end = 0;
    void include(size_t at) {
        begin = std::min(begin, at);
        end = std::max(end, at);
    }
};

std::vector<interval> intervals_of(const draft &d, const std::vector<stretch> &all) {
    std::vector<interval> held(d.sizes.size());
    for (const stretch &s : all) {
        s.live.each([&](uint32_t id) { held[id].include(s.begin); });
        live_behind(d, all, s).each([&](uint32_t id) { held[id].include(s.end); });
        for (size_t i = s.begin; i < s.end; i++)
            for (const operand &x : d.ops[i].operands)
                if (is_register(x)) {
                    held[x.id].include(i);
                    held[x.id].include(i + x.is_written); /* a result and the next op's differ */
                }
    }
    return held;
}

/* First come, first served; a slot is free again behind the last op that it is held at. */
std::vector<uint16_t> slots_of(const draft &d, const std::vector<interval> &held, uint32_t *used) {
    std::vector<uint32_t> order;
    for (uint32_t id = 0; id < held.size(); id++)
        if (held[id].begin != SIZE_MAX)
            order.push_back(id);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
        return held[a].begin != held[b].begin ? held[a].begin < held[b].begin : a < b;
    });
    std::vector<uint16_t> slots(held.size());
    std::vector<uint32_t> free[3], active;
    for (uint32_t id : order) {
        for (size_t i = active.size(); i-- > 0;)
            if (held[active[i]].end < held[id].begin) {
                free[d.sizes[active[i]]].push_back(slots[active[i]]);
                active[i] = active.back();
                active.pop_back();
            }
        const uint8_t size = d.sizes[id];
        if (free[size].empty()) {
            free[size].push_back(*used);
            *used += size;
        }
        slots[id] = (uint16_t)free[size].back();
        free[size].pop_back();
        active.push_back(id);
    }
    return slots;
}

} // namespace

void place_registers(draft &d) {
    program &p = *d.into;
    std::vector<stretch> all = stretches_of(d);
    find_live(d, all);
    all[0].live.each([&](uint32_t id) {
        refuse(p.file, d.ops[0].made.line, "%s: a path reads %s before it was written",
               p.name.c_str(), d.names[id].c_str());
    });
    p.slots = (uint32_t)p.constants.size();
    const std::vector<uint16_t> slots = slots_of(d, intervals_of(d, all), &p.slots);
    if (p.slots > SLOTS_MAX)
        refuse(p.file, d.ops[0].made.line, "%s: %u slots are too many for a lane's stack",
               p.name.c_str(), p.slots);
    for (draft_op &o : d.ops) {
        std::vector<uint16_t> x;
        for (const operand &y : o.operands)
            x.push_back(is_register(y) ? slots[y.id] : (uint16_t)(y.id & ~operand::CONSTANT));
        if (x.size() > 6) {
            o.made.x[0] = (uint16_t)p.lists.size();
            p.lists.insert(p.lists.end(), x.begin(), x.end());
        } else {
            std::copy(x.begin(), x.end(), o.made.x);
        }
        p.ops.push_back(o.made);
    }
}

} // namespace ptx
