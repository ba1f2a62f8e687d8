# Toolchain of tests/run-aarch64: Debian's cross compiler, and programs that qemu-user runs. QR_SYSROOT is where
# tools/fetch-arm64 has unpacked the libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES QR_SYSROOT)
set(ENV{PKG_CONFIG_LIBDIR} ${QR_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${QR_SYSROOT})
set(QR_EMULATED ON) # units that take long leave something out
