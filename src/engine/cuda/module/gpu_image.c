/* engine/cuda/module/gpu_image.c: puts a file into the module, by the assembler. */
#include "engine/cuda/module/gpu_image.h"

/* Fat binaries are read in words of 8 bytes. */
__asm__(".pushsection .rodata.qr_gpu_image, \"a\", %progbits\n"
        ".balign 64\n"
        ".globl qr__gpu_image_bytes\n"
        ".hidden qr__gpu_image_bytes\n"
        "qr__gpu_image_bytes:\n"
        ".incbin \"" QR_CUDA_IMAGE "\"\n"
        ".byte 0\n"
        ".popsection\n");

extern const unsigned char qr__gpu_image_bytes[] __attribute__((visibility("hidden")));

const void *qr__gpu_image(void) {
    return qr__gpu_image_bytes;
}
