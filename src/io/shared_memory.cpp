#include "io/shared_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace wspool::io {

Result<SharedMemory> SharedMemory::make(std::size_t size) {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        const int error = errno;
        return fail("no " + std::to_string(size) +
                        " bytes of memory to share between processes: " + std::strerror(error),
                    error);
    }
    return SharedMemory({static_cast<std::byte*>(memory), size});
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, MutableBytes{})) {}

SharedMemory::~SharedMemory() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace wspool::io
