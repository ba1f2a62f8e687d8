/* tests/cuda/kernels/kernel_device.h: the tests' launches on a device in the emulator's place.
 *
 *     cuda_kernels --device build/cuda/querent_cuda.fatbin [TEST...]
 *
 *     device_open("querent_cuda.fatbin");         // ends the program where there is none
 *     device_launch(name, config, args, buffers);
 *
 * Buffers stand in args by their host addresses; each is copied to the device, and addresses are
 * replaced. What a kernel may write lies in mapped host memory, the rest in the device's. One
 * thread.
 */
#ifndef QR_TESTS_KERNEL_DEVICE_H
#define QR_TESTS_KERNEL_DEVICE_H

#include "emulator.h"

#include <string>
#include <vector>

namespace kernel_test {

struct device_buffer {
    void *data; /* of the host; what the kernel wrote is copied back to it */
    size_t bytes;
    bool may_be_written;
};

/** Opens the driver, device 0 and an image of the kernels, and prints the device's name. */
void device_open(const char *image);
/** Whether device_open() was called. */
bool device_is_open();
/** Runs qr_cuda_NAME once, to its end. */
void device_launch(const std::string &name, const emulator::launch_config &config, const void *args,
                   const std::vector<device_buffer> &buffers);

} // namespace kernel_test

#endif
