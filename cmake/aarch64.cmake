# Toolchain of tests/run-aarch64 and tests/check-arm64: Debian's cross compiler. QR_SYSROOT is where tools/fetch-arm64 has
# unpacked the libraries alone, or a whole root.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES QR_SYSROOT)
set(arm64_libraries ${QR_SYSROOT}/usr/lib/aarch64-linux-gnu)
if(EXISTS ${arm64_libraries}/libc.so) # else the C library is that of Debian's cross packages
    set(CMAKE_SYSROOT ${QR_SYSROOT})
endif()
# OpenBLAS is one of several, among which Debian's alternatives choose where packages are installed.
set(ENV{PKG_CONFIG_LIBDIR} ${arm64_libraries}/pkgconfig:${arm64_libraries}/openblas-pthread/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${QR_SYSROOT})
set(QR_EMULATED ON) # units that take long leave something out
