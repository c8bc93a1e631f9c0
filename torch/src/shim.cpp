// What libtorch offers and tch does not: a stream of one's own, TF32 products and the allocator's counters. Only headers
// that need no CUDA are used, so that this compiles against every libtorch.
#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

extern "C" {

// Makes a stream of libtorch's pool this thread's current one; returns its handle, or null.
void* cvae_own_stream(int device) {
    try {
        c10::Device where(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
        c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
        c10::Stream stream = guard.getStreamFromGlobalPool(where);
        guard.exchangeStream(stream);
        return stream.native_handle();
    } catch (...) {
        return nullptr;
    }
}

// Lets products of 32-bit floats round their factors to 10 bits.
void cvae_allow_tf32(int allow) { at::globalContext().setAllowTF32CuBLAS(allow != 0); }

// The largest number of bytes of the device that tensors took at once, or -1.
long long cvae_peak_memory(int device) {
    try {
        auto stats = c10::getDeviceAllocator(c10::DeviceType::CUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
        return stats.reserved_bytes[0].peak;
    } catch (...) {
        return -1;
    }
}
}
