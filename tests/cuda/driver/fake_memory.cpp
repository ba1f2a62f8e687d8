/* The fake driver's memory. That of the device can be touched only while kernels and copies run. */
#include "fake_state.h"
#include <cstring>

#define CALL extern "C" __attribute__((visibility("default"))) qr__cu_result

fake_memory_open::fake_memory_open() {
    fake_driver &d = driver();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    if (d.memory_users++ == 0)
        for (auto &m : d.memory)
            m.second->allow(true);
}

fake_memory_open::~fake_memory_open() {
    fake_driver &d = driver();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    if (--d.memory_users == 0)
        for (auto &m : d.memory)
            m.second->allow(false);
}

/* The piece that begins at or before an address. */
template <class Map> static auto piece_of(Map &pieces, uintptr_t at) {
    auto after = pieces.upper_bound(at);
    return after == pieces.begin() ? pieces.end() : --after;
}

bool fake_is_device(uintptr_t at, size_t bytes) {
    auto found = piece_of(driver().memory, at);
    if (found == driver().memory.end())
        return false;
    size_t offset = at - found->first;
    return offset <= found->second->bytes && bytes <= found->second->bytes - offset;
}

bool fake_is_host(uintptr_t at, size_t bytes, bool *mapped) {
    auto found = piece_of(driver().host, at);
    if (found == driver().host.end())
        return false;
    size_t offset = at - found->first;
    *mapped = found->second.mapped;
    return offset <= found->second.bytes && bytes <= found->second.bytes - offset;
}

CALL cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    FAKE_ENTER(CONTEXT);
    *total_bytes = driver().memory_bytes;
    *free_bytes = driver().memory_bytes - driver().used;
    return OK;
}

CALL cuMemAlloc_v2(qr__cu_pointer *pointer, size_t bytes) {
    FAKE_ENTER(CONTEXT | NO_CAPTURE | WAITS);
    fake_driver &d = driver();
    if (!bytes)
        return INVALID_VALUE;
    if (bytes > d.memory_bytes - d.used)
        return OUT_OF_MEMORY;
    auto made = std::make_unique<emulator::memory>(bytes);
    *pointer = (uintptr_t)made->data;
    if (!d.memory_users)
        made->allow(false);
    d.used += bytes;
    d.memory[*pointer] = std::move(made);
    return OK;
}

CALL cuMemFree_v2(qr__cu_pointer pointer) {
    FAKE_ENTER(CONTEXT | NO_CAPTURE | WAITS);
    fake_driver &d = driver();
    auto found = d.memory.find(pointer);
    if (found == d.memory.end())
        return pointer ? INVALID_VALUE : OK;
    found->second->allow(true);
    d.used -= found->second->bytes;
    d.memory.erase(found);
    return OK;
}

CALL cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    FAKE_ENTER(CONTEXT | NO_CAPTURE | WAITS);
    if (!bytes || flags > 7)
        return INVALID_VALUE;
    auto made = std::make_unique<emulator::memory>(bytes);
    void *data = *pointer = made->data;
    bool is_mapped = flags & QR__CU_HOST_DEVICE_MAP;
    driver().host[(uintptr_t)data] = {bytes, is_mapped, std::move(made)};
    return OK;
}

CALL cuMemFreeHost(void *pointer) {
    FAKE_ENTER(CONTEXT | NO_CAPTURE | WAITS);
    return driver().host.erase((uintptr_t)pointer) ? OK : INVALID_VALUE;
}

CALL cuMemHostGetDevicePointer_v2(qr__cu_pointer *device, void *host, unsigned flags) {
    FAKE_ENTER(CONTEXT);
    bool mapped = false;
    if (flags || !fake_is_host((uintptr_t)host, 1, &mapped) || !mapped)
        return INVALID_VALUE;
    *device = (uintptr_t)host;
    return OK;
}

/* Pinned memory is read when the copy is done, other memory at once, as the driver stages it. */
CALL cuMemcpyHtoDAsync_v2(qr__cu_pointer to, const void *from, size_t bytes, qr__cu_stream stream) {
    FAKE_ENTER(CONTEXT);
    bool mapped;
    if (!fake_is_device(to, bytes))
        return INVALID_VALUE;
    fake_work work;
    if (fake_capturing_to == stream || fake_is_host((uintptr_t)from, bytes, &mapped)) {
        work.other = [=] { memcpy((void *)to, from, bytes); };
    } else {
        auto *begin = static_cast<const unsigned char *>(from);
        std::vector<unsigned char> staged(begin, begin + bytes);
        work.other = [to, staged] { memcpy((void *)to, staged.data(), staged.size()); };
    }
    return fake_add(stream, std::move(work));
}

CALL cuMemsetD8Async(qr__cu_pointer to, unsigned char byte, size_t bytes, qr__cu_stream stream) {
    FAKE_ENTER(CONTEXT);
    if (!fake_is_device(to, bytes))
        return INVALID_VALUE;
    fake_work work;
    work.other = [=] { memset((void *)to, byte, bytes); };
    return fake_add(stream, std::move(work));
}
