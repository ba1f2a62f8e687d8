/* tests/cuda/ptx/ptx.h: kernels as nvcc compiled them: PTX text that runs on the emulator.
 *
 *     ptx::module m("querent_cuda.compute_90.ptx", text);
 *     emulator::launch_config config = {m.find("qr_cuda_widen_f16"), {rows}, 256, 0, true};
 *     emulator::grid(config, &args).finish();
 *
 * With QR_EMULATOR_PTX=FILE in the environment emulator::find() gives that file's kernels in the
 * place of those that were compiled for the host, so every program of tests runs on them.
 *
 * Each thread is a fiber of the emulator and interprets the kernel by itself; where threads meet,
 * they meet as those of a kernel in C++ do, with the same faults. Besides, these end the process:
 * an instruction that is not known (with its line, before anything runs), a register that some path
 * reads before it was written, an address that is not aligned to its access, and an access outside
 * of shared memory or of the parameter. What instructions do was written from the PTX ISA's text,
 * and not from gpu_emulated.h.
 */
#ifndef QR_TESTS_PTX_H
#define QR_TESTS_PTX_H

#include "emulator.h"
#include <memory>
#include <string>
#include <vector>

namespace ptx {

struct program; // ptx_program.h

/** The kernels of one text. Read-only once it is made. */
class module {
  public:
    /** `file` stands in messages. What is not understood is printed and ends the process. */
    module(const std::string &file, const std::string &text);
    ~module();
    module(const module &) = delete;
    module &operator=(const module &) = delete;
    /** NULL: there is none of that name. */
    const emulator::kernel *find(const char *name) const;

  private:
    std::vector<std::unique_ptr<program>> programs;
};

/** That of QR_EMULATOR_PTX, read once; NULL where that is not set. */
const module *of_environment();

} // namespace ptx

#endif
