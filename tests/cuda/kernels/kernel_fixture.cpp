#include "kernel_fixture.h"
#include "kernel_device.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace kernel_test {

namespace {

struct registered {
    const char *name;
    void (*body)();
};
std::vector<registered> &tests() {
    static std::vector<registered> all;
    return all;
}

char case_name[200];
unsigned failures, failures_here;

void failed(const char *format, ...) {
    failures++;
    if (failures_here++ >= 5)
        return;
    va_list list;
    va_start(list, format);
    printf("  %s: ", case_name);
    vprintf(format, list);
    printf("\n");
    va_end(list);
}

struct listed {
    const char *name;
    size_t args_bytes;
    uint32_t threads, shared;
};
const listed list[] = {
#define QR_LISTED(name, args, threads, shared) {#name, sizeof(args), threads, shared},
    QR_CUDA_KERNEL_LIST(QR_LISTED)
#undef QR_LISTED
};

const listed &find(const std::string &name) {
    for (const listed &kernel : list) {
        if (name == kernel.name)
            return kernel;
    }
    printf("there is no kernel %s\n", name.c_str());
    abort();
}

} // namespace

uint32_t dice::below(uint32_t n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) * n >> 32);
}

double dice::between(double low, double high) {
    return low + (high - low) * below(1u << 24) * 0x1p-24;
}

std::vector<float> random_floats(dice &random, size_t width, size_t pitch, double low,
                                 double high) {
    std::vector<float> values(pitch, 0.0f);
    for (size_t i = 0; i < width; i++)
        values[i] = (float)random.between(low, high);
    return values;
}

void *bench::place(const void *values, size_t bytes, size_t room, bool late, bool output) {
    buffer &made = buffers.emplace_back(room > bytes ? room : bytes, late, output);
    made.bytes.resize(bytes);
    if (bytes > 0)
        memcpy(made.bytes.data(), values, bytes);
    if (!late && bytes > 0)
        memcpy(made.memory.data, values, bytes);
    return made.memory.data;
}

const qr_cuda_counts *bench::counts(uint32_t tokens, uint32_t sequences, uint32_t tiles) {
    return late(std::vector<qr_cuda_counts>{{tokens, sequences, tiles, 0}});
}

void bench::fill_late() {
    for (buffer &b : buffers) {
        if (b.is_late && !b.bytes.empty())
            memcpy(b.memory.data, b.bytes.data(), b.bytes.size());
    }
}

void bench::launch(const emulator::launch_config &config, const void *args) {
    emulator::grid grid(config, args);
    grid.begin();
    fill_late();
    grid.finish();
    for (buffer &b : buffers)
        b.memory.check();
}

void bench::launch_on_device(const emulator::launch_config &config, const void *args) {
    std::vector<device_buffer> all;
    fill_late();
    for (const buffer &b : buffers)
        all.push_back({b.memory.data, b.memory.bytes, b.is_late});
    const char *name = config.what->name + strlen("qr_cuda_");
    device_launch(name, config, args, all);
}

std::vector<unsigned char> bench::results() const {
    std::vector<unsigned char> all;
    for (const buffer &b : buffers) {
        auto bytes = static_cast<const unsigned char *>(b.memory.data);
        if (b.is_output)
            all.insert(all.end(), bytes, bytes + b.memory.bytes);
    }
    return all;
}

void bench::run(const std::string &name, emulator::size3 grid, const void *args, size_t args_bytes,
                bool cooperative) {
    const listed &kernel = find(name);
    const emulator::kernel *what = emulator::find(("qr_cuda_" + name).c_str());
    if (what == nullptr || args_bytes != kernel.args_bytes || what->args_bytes != args_bytes ||
        what->threads != kernel.threads) {
        failed("%s is not as cuda_kernel_list.h says", name.c_str());
        return;
    }
    std::vector<unsigned char> first;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const emulator::launch_config config = {what,          grid, kernel.threads,
                                                kernel.shared, true, cooperative};
        for (buffer &b : buffers) {
            if (b.is_late)
                memset(b.memory.data, 0xff, b.memory.bytes); /* NaN in every type */
        }
        emulator::seed(seed * 7919 + grid.x);
        if (device_is_open())
            launch_on_device(config, args);
        else
            launch(config, args);
        if (seed == 1)
            first = results();
        else if (results() != first)
            failed("%s gives other bits when its threads run in another order", name.c_str());
    }
}

packed::packed(const std::vector<uint32_t> &lengths) : starts{0} {
    for (uint32_t length : lengths) {
        const uint32_t begin = starts.back();
        starts.push_back(begin + length);
        for (uint32_t at = begin; at < begin + length; at += QR_CUDA_TILE)
            tiles.push_back({begin, begin + length, at});
    }
}

packed random_packed(dice &random, uint32_t tokens) {
    std::vector<uint32_t> lengths;
    for (uint32_t left = tokens; left > 0; left -= lengths.back()) {
        const uint32_t most = random.chance(0.3) ? left : (left < 24 ? left : 24);
        lengths.push_back(1 + random.below(most));
    }
    return packed(lengths);
}

void expect_near(const char *what, size_t i, double got, double expected, double bound) {
    if (!(fabs(got - expected) <= bound)) /* NaN fails */
        failed("%s %zu: %.9g, expected %.9g within %.2g", what, i, got, expected, bound);
}

void expect(bool is_true, const char *what, size_t i) {
    if (!is_true)
        failed("%s %zu", what, i);
}

void name_case(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(case_name, sizeof case_name, format, args);
    va_end(args);
}

test::test(const char *name, void (*body)()) {
    tests().push_back({name, body});
}

} // namespace kernel_test

int main(int argc, char **argv) {
    using namespace kernel_test;
    if (argc > 2 && strcmp(argv[1], "--device") == 0) {
        device_open(argv[2]);
        argc -= 2, argv += 2;
    }
    for (const registered &t : tests()) {
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++)
            wanted = wanted || strstr(t.name, argv[i]) != nullptr;
        if (!wanted)
            continue;
        failures_here = 0;
        t.body();
        printf("%s %s\n", failures_here > 0 ? "FAILED" : "passed", t.name);
        fflush(stdout);
    }
    return failures > 0;
}
