/* engine/cuda/module/gpu_image.h: the kernels' compiled image, as it stands in the module.
 *
 *     driver.module_load(&module, qr__gpu_image());
 *
 * The file's place comes from the build: nvcc's fatbin, or, in a module that only tests load, a few
 * bytes that the fake driver takes for one. Const.
 */
#ifndef QR_ENGINE_CUDA_GPU_IMAGE_H
#define QR_ENGINE_CUDA_GPU_IMAGE_H

/** Its first byte; it knows its own length. */
const void *qr__gpu_image(void);

#endif
