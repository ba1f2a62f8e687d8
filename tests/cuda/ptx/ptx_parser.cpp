/* The text of a file of PTX, as nvcc writes it of our kernels: a statement a line. */
#include "ptx.h"
#include "ptx_kernel.h"
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace ptx {

void refuse(const std::string &file, uint32_t line, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "%s:%u: ", file.c_str(), line);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

namespace {

class parser {
  public:
    parser(const std::string &named, const std::string &text_of_file)
        : file(named), text(text_of_file) {}

    std::vector<std::unique_ptr<program>> run() {
        for (size_t begin = 0; begin < text.size();) {
            const size_t end = text.find('\n', begin);
            std::string content = text.substr(begin, end - begin);
            begin = end == std::string::npos ? text.size() : end + 1;
            line++;
            content = stripped(content.substr(0, content.find("//")));
            if (!content.empty())
                take(content);
        }
        if (kernel)
            refuse(file, line, "the text ends in a kernel");
        return std::move(programs);
    }

  private:
    void take(const std::string &content) {
        if (!inside)
            take_around(content);
        else if (content != "}")
            kernel->take(line, content);
        else {
            programs.push_back(kernel->finish(line));
            kernel.reset();
            inside = false;
        }
    }

    /* What stands between kernels, and the head of one. */
    void take_around(const std::string &content) {
        const std::string last = name_in(content, content.find_last_of(' ') + 1);
        if (begins(content, ".extern .shared"))
            shared_name = last;
        else if (begins(content, ".target sm_"))
            target = number_behind(content, '_');
        else if (begins(content, ".visible .entry"))
            begin_kernel(last);
        else if (begins(content, ".param .align") && kernel)
            kernel->take_parameter(line, last, number_behind(content, '['));
        else if (begins(content, ".maxntid") && kernel)
            kernel->set_threads(number_behind(content, ' '));
        else if (content == "{" && kernel)
            inside = true;
        else if (content != ")" && !begins(content, ".version") && content != ".address_size 64")
            refuse(file, line, "not known: %s", content.c_str());
    }

    /* Early starts are the target's: a kernel of sm_90 that does not wait has forgotten it. */
    void begin_kernel(const std::string &name) {
        kernel = std::make_unique<kernel_reader>(file, name, shared_name);
        kernel->set_early(target >= 90);
    }

    static std::string name_in(const std::string &content, size_t from) {
        return content.substr(from, content.find_first_of("([", from) - from);
    }

    uint32_t number_behind(const std::string &content, char mark) const {
        const size_t at = content.find(mark);
        if (at == std::string::npos)
            refuse(file, line, "a number is missing: %s", content.c_str());
        return (uint32_t)strtoul(content.c_str() + at + 1, nullptr, 10);
    }

    const std::string &file, &text;
    uint32_t line = 0, target = 0;
    bool inside = false; /* between the kernel's braces */
    std::string shared_name;
    std::unique_ptr<kernel_reader> kernel;
    std::vector<std::unique_ptr<program>> programs;
};

} // namespace

module::module(const std::string &file,
               const std::string &text) :programs(parser(file, text).run()) {}

module::~module() = default;

const emulator::kernel *module::find(const char *name) const {
    for (const auto &p : programs)
        if (p->name == name)
            return &p->kernel;
    return nullptr;
}

const module *of_environment() {
    static const module *const read = [] {
        const char *path = getenv("QR_EMULATOR_PTX");
        if (!path)
            return (const module *)nullptr;
        std::ifstream file(path, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file),
                               std::istreambuf_iterator<char>()};
        if (text.empty())
            refuse(path, 0, "is missing or empty (QR_EMULATOR_PTX)");
        return (const module *)new module(path, text);
    }();
    return read;
}

} // namespace ptx
