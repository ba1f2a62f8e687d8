/* Operands of instructions: registers, numbers, symbols, addresses. */
#include "ptx_kernel.h"
#include <cstdlib>

namespace ptx {

static const char *const specials[SPECIALS] = {"%tid.x",   "%tid.y",    "%tid.z",    "%ntid.x",
                                               "%ntid.y",  "%ntid.z",   "%ctaid.x",  "%ctaid.y",
                                               "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z"};

/* What stands between commas, but for those in braces. */
std::vector<std::string> kernel_reader::split(const std::string &text) {
    std::vector<std::string> parts;
    int depth = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= text.size(); i++) {
        const char c = i < text.size() ? text[i] : ',';
        depth += (c == '{') - (c == '}');
        if (c != ',' || (depth > 0 && i < text.size()))
            continue;
        parts.push_back(stripped(text.substr(begin, i - begin)));
        begin = i + 1;
    }
    if (parts.size() == 1 && parts[0].empty())
        parts.clear();
    return parts;
}

void kernel_reader::take_operand(char kind, const std::string &shown, bool written) {
    switch (kind) {
    case '2':
    case '4':
        add_group(shown, (uint32_t)(kind - '0'), 'w', written);
        break;
    case '[':
        add_address(shown, 0);
        break;
    case 'L':
        now.ops.back().target = shown;
        break;
    case '0':
    case 'c':
    case 'i':
        take_number(kind, shown);
        break;
    default:
        add_operand(kind, shown, written);
    }
}

void kernel_reader::take_number(char kind, const std::string &shown) {
    char *end;
    const auto number = (int32_t)strtol(shown.c_str(), &end, 10);
    if (shown.empty() || *end || (kind == '0' && number != 0) || (kind == 'c' && number != 16))
        wrong("another number is expected than", shown);
    if (kind == 'i')
        now.ops.back().made.offset = number;
}

/* Two results, "%r1|%p2"; kinds: "w|p" */
void kernel_reader::take_pair(const char *kinds, const std::string &shown, bool written) {
    const size_t bar = shown.find('|');
    if (bar == std::string::npos)
        wrong("one of two results is missing:", shown);
    add_operand(kinds[0], shown.substr(0, bar), written);
    add_operand(kinds[2], shown.substr(bar + 1), written);
}

/* {%r1, %r2} */
void kernel_reader::add_group(const std::string &shown, uint32_t count, char kind, bool written) {
    if (shown.size() < 2 || shown[0] != '{' || shown.back() != '}')
        wrong("no registers in braces:", shown);
    const std::vector<std::string> parts = split(shown.substr(1, shown.size() - 2));
    if (parts.size() != count)
        wrong("another number of registers is expected than in", shown);
    for (const std::string &part : parts)
        add_operand(kind, part, written);
}

/* [%rd1+-24], [qr_shared], [kernel_param_0+16]; kind 0: that of the register or symbol */
void kernel_reader::add_address(const std::string &shown, char kind) {
    if (shown.size() < 3 || shown[0] != '[' || shown.back() != ']')
        wrong("no address in brackets:", shown);
    const std::string inner = shown.substr(1, shown.size() - 2);
    const size_t plus = inner.find('+');
    const std::string base = inner.substr(0, plus);
    if (plus != std::string::npos)
        now.ops.back().made.offset = (int32_t)strtol(inner.c_str() + plus + 1, nullptr, 10);
    if (!kind)
        kind = begins(base, "%rd") || base == parameter_name ? 'l' : 'w';
    add_operand(kind, base, false);
}

const kernel_reader::declared *kernel_reader::register_of(const std::string &shown,
                                                          uint32_t *number) const {
    const size_t digit = shown.find_first_of("0123456789");
    if (shown[0] != '%' || digit == std::string::npos)
        return nullptr;
    char *end;
    *number = (uint32_t)strtoul(shown.c_str() + digit, &end, 10);
    for (const declared &d : registers)
        if (!*end && d.prefix == shown.substr(0, digit) && *number < d.count)
            return &d;
    return nullptr;
}

/* Of what is loaded or stored: the register's, or a number's by the access. */
char kernel_reader::kind_of(const std::string &shown, uint32_t bits) const {
    uint32_t number;
    const declared *d = register_of(shown, &number);
    return d ? d->kind : bits == 64 ? 'l' : bits == 32 ? 'w' : 'h';
}

void kernel_reader::add_operand(char kind, const std::string &shown, bool written) {
    uint32_t number;
    const declared *d = register_of(shown, &number);
    if (d && d->kind != kind)
        wrong("a register of another size is expected than", shown);
    if (!d && written)
        wrong("not a register:", shown);
    const uint32_t id = d ? d->first + number : constant(kind, shown);
    now.ops.back().operands.push_back({id, written});
}

uint32_t kernel_reader::constant(char kind, const std::string &shown) {
    for (uint32_t i = 0; i < SPECIALS; i++)
        if (kind == 'w' && shown == specials[i])
            return operand::CONSTANT | i;
    const uint64_t value = number_of(kind, shown);
    const auto key = std::make_pair(value, kind == 'l');
    auto found = constants.find(key);
    if (found != constants.end())
        return found->second;
    const uint32_t id = operand::CONSTANT | (uint32_t)made->constants.size();
    made->constants.push_back((uint32_t)value);
    if (kind == 'l')
        made->constants.push_back((uint32_t)(value >> 32));
    return constants[key] = id;
}

/* 12, -1, 0f3F800000, qr_shared, the parameter */
uint64_t kernel_reader::number_of(char kind, const std::string &shown) const {
    char *end;
    if (kind == 'w' && shown == shared_name)
        return SHARED_BASE;
    if (kind == 'l' && shown == parameter_name)
        return PARAM_BASE;
    uint64_t value;
    if (kind == 'w' && begins(shown, "0f"))
        value = strtoull(shown.c_str() + 2, &end, 16);
    else
        value = shown[0] == '-' ? (uint64_t)strtoll(shown.c_str(), &end, 0)
                                : strtoull(shown.c_str(), &end, 0);
    if (shown.empty() || *end || kind == 'p')
        wrong("neither a register nor a number that is known:", shown);
    return kind == 'l' ? value : kind == 'w' ? (uint32_t)value : (uint16_t)value;
}

} // namespace ptx
