/* tests/cuda/ptx/ptx_kernel.h: reads one kernel of a text of PTX, statement by statement. Of the
 * parser (ptx_parser.cpp).
 *
 *     kernel_reader k(file, "qr_cuda_widen_f16", "qr_shared");
 *     k.take_parameter(line, "qr_cuda_widen_f16_param_0", 40);
 *     k.take(line, "ld.param.u64 \t%rd1, [qr_cuda_widen_f16_param_0];");
 *     std::unique_ptr<program> made = k.finish(line);
 *
 * What it does not know it prints with its line, and ends the process.
 */
#ifndef QR_TESTS_PTX_KERNEL_H
#define QR_TESTS_PTX_KERNEL_H

#include "ptx_program.h"
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace ptx {

/** Without blanks around it. */
std::string stripped(const std::string &text);
bool begins(const std::string &text, const char *with);

class kernel_reader {
  public:
    /** `shared`: what the text calls shared memory. */
    kernel_reader(const std::string &file, const std::string &name, const std::string &shared);
    void take_parameter(uint32_t line, const std::string &name, size_t bytes);
    void set_threads(uint32_t threads) { made->kernel.threads = threads; }
    void set_early(bool may_begin_early) { made->kernel.may_begin_early = may_begin_early; }
    /** A label, a declaration or an instruction. */
    void take(uint32_t line, const std::string &content);
    std::unique_ptr<program> finish(uint32_t line);

  private:
    struct instruction {
        code what;
        const char *form; /* ptx_instructions.h */
    };
    /* Registers "%rd0" to "%rd{count - 1}". */
    struct declared {
        std::string prefix;
        char kind; /* as in forms */
        uint32_t first, count;
    };
    static const std::unordered_map<std::string, instruction> &instructions();
    [[noreturn]] void wrong(const char *what, const std::string &shown) const;

    /* ptx_kernel.cpp */
    void declare(const std::string &statement);
    void begin_op(code what);
    void take_statement(const std::string &whole);
    void take_instruction(const instruction &known, const std::vector<std::string> &texts,
                          const std::string &whole);
    void take_access(const std::string &name, const std::vector<std::string> &texts,
                     const std::string &whole);

    /* ptx_operands.cpp: each adds to the last op */
    static std::vector<std::string> split(const std::string &text);
    void take_operand(char kind, const std::string &shown, bool written);
    void take_pair(const char *kinds, const std::string &shown, bool written);
    void take_number(char kind, const std::string &shown);
    void add_group(const std::string &shown, uint32_t count, char kind, bool written);
    void add_address(const std::string &shown, char kind);
    void add_operand(char kind, const std::string &shown, bool written);
    const declared *register_of(const std::string &shown, uint32_t *number) const;
    char kind_of(const std::string &shown, uint32_t bits) const;
    uint32_t constant(char kind, const std::string &shown);
    uint64_t number_of(char kind, const std::string &shown) const;

    std::string file, shared_name, parameter_name;
    uint32_t line = 0; /* of what is taken */
    std::unique_ptr<program> made;
    draft now;
    std::vector<declared> registers;
    std::unordered_map<std::string, uint32_t> labels;
    std::map<std::pair<uint64_t, bool>, uint32_t> constants; /* value, whether of 64 bits */
};

} // namespace ptx

#endif
