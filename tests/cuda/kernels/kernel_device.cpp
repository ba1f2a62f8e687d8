#include "kernel_device.h"

#include "../driver/more_calls.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <iterator>

namespace kernel_test {

namespace {

struct {
#define QR_CALL(name, symbol, arguments) qr__cu_result(*name) arguments;
    QR__DRIVER_LIST(QR_CALL)
    QR_MORE_DRIVER_LIST(QR_CALL)
#undef QR_CALL
} driver;
qr__cu_module module;
qr__cu_stream stream;

[[noreturn]] void end(const char *what, const char *why) {
    fprintf(stderr, "cuda_kernels: %s: %s\n", what, why);
    exit(1);
}

void check(qr__cu_result result, const char *what) {
    const char *why = "unknown";
    if (result == QR__CU_OK)
        return;
    driver.error_string(result, &why);
    end(what, why);
}
#define QR_CALLED(call) check(driver.call, #call)

void load_driver() {
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr)
        end("no driver", dlerror());
#define QR_CALL(name, symbol, arguments)                                                           \
    *(void **)&driver.name = dlsym(library, #symbol);                                              \
    if (driver.name == nullptr)                                                                    \
        end(#symbol, "the driver does not have it");
    QR__DRIVER_LIST(QR_CALL)
    QR_MORE_DRIVER_LIST(QR_CALL)
#undef QR_CALL
}

/* A buffer's place on the device. */
struct placed {
    qr__cu_pointer device = 0;
    void *mapped = nullptr;
};

placed place(const device_buffer &buffer) {
    placed made;
    if (buffer.may_be_written) {
        QR_CALLED(host_alloc(&made.mapped, buffer.bytes, QR__CU_HOST_DEVICE_MAP));
        memcpy(made.mapped, buffer.data, buffer.bytes);
        QR_CALLED(host_pointer(&made.device, made.mapped, 0));
    } else {
        QR_CALLED(mem_alloc(&made.device, buffer.bytes));
        QR_CALLED(copy_in(made.device, buffer.data, buffer.bytes, stream));
    }
    return made;
}

/* Words of args that are addresses in a buffer become the device's. */
void replace_addresses(void *args, size_t args_bytes, const std::vector<device_buffer> &buffers,
                       const std::vector<placed> &places) {
    for (size_t at = 0; at + 8 <= args_bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (char *)args + at, 8);
        for (size_t i = 0; i < buffers.size(); i++) {
            const uint64_t begin = (uint64_t)(uintptr_t)buffers[i].data;
            if (word < begin || word >= begin + buffers[i].bytes)
                continue;
            word = places[i].device + (word - begin);
            memcpy((char *)args + at, &word, 8);
            break;
        }
    }
}

} // namespace

void device_open(const char *image) {
    qr__cu_device device;
    qr__cu_context context;
    char name[256] = "";
    std::ifstream file(image, std::ios::binary);
    std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (bytes.empty())
        end(image, "is missing or empty");
    bytes.resize(bytes.size() + 8); /* a fatbin says its own length; text ends with a 0 */
    load_driver();
    QR_CALLED(init(0));
    QR_CALLED(device_get(&device, 0));
    QR_CALLED(device_name(name, sizeof name, device));
    QR_CALLED(primary_retain(&context, device));
    QR_CALLED(set_current(context));
    QR_CALLED(stream_create(&stream, QR__CU_STREAM_NON_BLOCKING));
    QR_CALLED(module_load(&module, bytes.data()));
    printf("on %s\n", name);
}

bool device_is_open() {
    return module != nullptr;
}

void device_launch(const std::string &name, const emulator::launch_config &config, const void *args,
                   const std::vector<device_buffer> &buffers) {
    const size_t args_bytes = config.what->args_bytes;
    qr__cu_attribute attribute = {QR__CU_LAUNCH_COOPERATIVE, {}, {}};
    qr__cu_function function;
    attribute.value.number = 1;
    QR_CALLED(module_function(&function, module, ("qr_cuda_" + name).c_str()));
    if (config.shared > 48 << 10)
        QR_CALLED(function_set(function, QR__CU_FUNCTION_SHARED_BYTES, (int)config.shared));
    std::vector<placed> places;
    for (const device_buffer &buffer : buffers)
        places.push_back(place(buffer));
    std::vector<uint64_t> copy((args_bytes + 7) / 8);
    memcpy(copy.data(), args, args_bytes);
    replace_addresses(copy.data(), args_bytes, buffers, places);
    const qr__cu_launch launch = {config.grid.x,
                                  config.grid.y,
                                  config.grid.z,
                                  config.threads,
                                  1,
                                  1,
                                  config.shared,
                                  stream,
                                  &attribute,
                                  config.cooperative ? 1u : 0u};
    void *arguments[] = {copy.data()};
    QR_CALLED(launch(&launch, function, arguments, nullptr));
    QR_CALLED(stream_wait(stream));
    for (size_t i = 0; i < buffers.size(); i++) {
        if (places[i].mapped != nullptr) {
            memcpy(buffers[i].data, places[i].mapped, buffers[i].bytes);
            QR_CALLED(host_free(places[i].mapped));
        } else {
            QR_CALLED(mem_free(places[i].device));
        }
    }
}

} // namespace kernel_test
