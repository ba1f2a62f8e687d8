#include "ptx_kernel.h"
#include <cstdlib>
#include <cstring>

namespace ptx {

std::string stripped(const std::string &text) {
    const size_t begin = text.find_first_not_of(" \t"), end = text.find_last_not_of(" \t");
    return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

bool begins(const std::string &text, const char *with) {
    return text.compare(0, strlen(with), with) == 0;
}

const std::unordered_map<std::string, kernel_reader::instruction> &kernel_reader::instructions() {
    static const std::unordered_map<std::string, instruction> all = {
#define QR_X(name, text, form, statement) {text, {code::name, form}},
        PTX_INSTRUCTIONS(QR_X)
#undef QR_X
    };
    return all;
}

kernel_reader::kernel_reader(const std::string &of_file, const std::string &name,
                             const std::string &shared)
    : file(of_file), shared_name(shared), made(std::make_unique<program>()),
      now{made.get(), {}, {}, {}} {
    made->name = name;
    made->file = file;
    made->constants.assign(SPECIALS, 0);
}

void kernel_reader::wrong(const char *what, const std::string &shown) const {
    refuse(file, line, "%s %s", what, shown.c_str());
}

void kernel_reader::take_parameter(uint32_t at, const std::string &name, size_t bytes) {
    line = at;
    if (!parameter_name.empty())
        wrong("a kernel has one parameter, a struct; this has", name);
    parameter_name = name;
    made->kernel.args_bytes = bytes;
}

void kernel_reader::take(uint32_t at, const std::string &content) {
    line = at;
    if (content.back() == ':') {
        labels[content.substr(0, content.size() - 1)] = (uint32_t)now.ops.size();
        return;
    }
    if (content.back() != ';')
        wrong("a statement is not one line:", content);
    const std::string statement = stripped(content.substr(0, content.size() - 1));
    if (begins(statement, ".reg"))
        declare(statement);
    else if (!begins(statement, ".pragma")) /* hints */
        take_statement(statement);
}

std::unique_ptr<program> kernel_reader::finish(uint32_t at) {
    line = at;
    begin_op(code::ret); /* where a text has none at its end */
    for (draft_op &o : now.ops) {
        if (o.target.empty())
            continue;
        auto found = labels.find(o.target);
        if (found == labels.end())
            refuse(file, o.made.line, "there is no label %s", o.target.c_str());
        o.made.offset = (int32_t)found->second;
    }
    place_registers(now);
    made->kernel.name = made->name.c_str();
    made->kernel.run = run_lane;
    made->kernel.code = made.get();
    return std::move(made);
}

void kernel_reader::begin_op(code what) {
    now.ops.push_back({{what, {}, 0, 0, line}, {}, ""});
}

/* .reg .b32 %r<597> */
void kernel_reader::declare(const std::string &statement) {
    static const std::map<std::string, char> kinds = {
        {".pred", 'p'}, {".b16", 'h'}, {".b32", 'w'}, {".f32", 'w'}, {".b64", 'l'}};
    const size_t type = statement.find('.', 1), prefix = statement.find('%'),
                 count = statement.find('<');
    if (count == std::string::npos)
        wrong("not known:", statement);
    auto kind = kinds.find(stripped(statement.substr(type, prefix - type)));
    if (kind == kinds.end())
        wrong("registers of another type:", statement);
    const auto n = (uint32_t)strtoul(statement.c_str() + count + 1, nullptr, 10);
    registers.push_back(
        {statement.substr(prefix, count - prefix), kind->second, (uint32_t)now.sizes.size(), n});
    for (uint32_t i = 0; i < n; i++) {
        now.sizes.push_back(kind->second == 'l' ? 2 : 1);
        now.names.push_back(registers.back().prefix + std::to_string(i));
    }
}

void kernel_reader::take_statement(const std::string &whole) {
    std::string statement = whole, guard;
    if (statement[0] == '@') {
        const size_t end = statement.find_first_of(" \t");
        guard = statement.substr(1, end - 1);
        statement = stripped(statement.substr(end));
    }
    const size_t space = statement.find_first_of(" \t");
    std::string name = statement.substr(0, space);
    std::vector<std::string> operands;
    if (space != std::string::npos)
        operands = split(stripped(statement.substr(space)));
    if (name == "bra.uni") /* says that the warp goes together, for speed */
        name = "bra";
    const bool unless = !guard.empty() && guard[0] == '!';
    const std::string predicate = unless ? guard.substr(1) : guard;
    if (!guard.empty() && name == "bra") {
        operands.insert(operands.begin(), predicate);
        name = unless ? "@!bra" : "@bra";
    } else if (!guard.empty()) {
        begin_op(unless ? code::skip_if : code::skip_unless);
        add_operand('p', predicate, false);
    }
    auto found = instructions().find(name);
    if (found != instructions().end())
        take_instruction(found->second, operands, whole);
    else if (begins(name, "ld.") || begins(name, "st."))
        take_access(name, operands, whole);
    else
        wrong("an instruction that is not known:", whole);
}

void kernel_reader::take_instruction(const instruction &known,
                                     const std::vector<std::string> &texts,
                                     const std::string &whole) {
    begin_op(known.what);
    size_t next = 0;
    bool written = true;
    for (const char *f = known.form; *f; f++) {
        if (*f == '=') {
            written = false;
            continue;
        }
        if (next >= texts.size())
            wrong("operands are missing:", whole);
        if (f[1] == '|') {
            take_pair(f, texts[next++], written);
            f += 2;
            continue;
        }
        take_operand(*f, texts[next++], written);
    }
    if (next != texts.size())
        wrong("too many operands:", whole);
    if (now.ops.back().made.offset != 0 && strstr(known.form, "[["))
        wrong("an offset beside one of two addresses:", whole);
}

/* ld.global.v4.f32, st.shared.u32, ... */
void kernel_reader::take_access(const std::string &name, const std::vector<std::string> &texts,
                                const std::string &whole) {
    static const std::map<std::string, code> spaces = {{"ld.global", code::ld_global},
                                                       {"ld.shared", code::ld_shared},
                                                       {"ld.param", code::ld_param},
                                                       {"st.global", code::st_global},
                                                       {"st.shared", code::st_shared}};
    const size_t type = name.rfind('.');
    const size_t vector = name.find(".v");
    auto space = spaces.find(name.substr(0, vector == std::string::npos ? type : vector));
    const uint32_t bits = (uint32_t)strtoul(name.c_str() + type + 2, nullptr, 10);
    const uint32_t count =
        vector == std::string::npos ? 1 : (uint32_t)strtoul(name.c_str() + vector + 2, nullptr, 10);
    if (space == spaces.end() || !strchr("usbf", name[type + 1]) || texts.size() != 2 ||
        (bits != 8 && bits != 16 && bits != 32 && bits != 64) ||
        (count != 1 && count != 2 && count != 4))
        wrong("a load or store that is not known:", whole);
    const bool loads = name[0] == 'l';
    const std::string &values = texts[loads ? 0 : 1], &address = texts[loads ? 1 : 0];
    begin_op(space->second);
    const char address_kind = name.find(".shared") == std::string::npos ? 'l' : 'w';
    if (!loads)
        add_address(address, address_kind);
    const char kind = kind_of(
        values[0] == '{' ? stripped(values.substr(1, values.find_first_of(",}") - 1)) : values,
        bits);
    if (count > 1)
        add_group(values, count, kind, loads);
    else
        add_operand(kind, values, loads);
    if (loads)
        add_address(address, address_kind);
    const uint32_t held = kind == 'l' ? 64 : kind == 'w' ? 32 : 16;
    if (held < bits || (!loads && held > 32 && bits < 64))
        wrong("registers of another size than the access:", whole);
    now.ops.back().made.access =
        (uint16_t)(count | bits / 8 << ACCESS_BYTES_SHIFT |
                   (name[type + 1] == 's' ? ACCESS_SIGNED : 0) | (kind == 'l' ? ACCESS_WIDE : 0));
}

} // namespace ptx
