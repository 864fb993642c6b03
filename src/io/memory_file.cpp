#include "io/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace wspool::io {

namespace {

tl::unexpected<Error> refuse(std::string_view what) {
    const int error = errno;
    return fail("a file in memory cannot be " + std::string(what) + ": " + std::strerror(error),
                error);
}

}  // namespace

Result<Descriptor> make_memory_file(std::string_view content) {
    Descriptor file(::memfd_create("wspool", MFD_CLOEXEC));
    if (file.get() < 0) return refuse("made");
    while (!content.empty()) {
        const ssize_t written = ::write(file.get(), content.data(), content.size());
        if (written < 0) return refuse("written");
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return file;
}

Result<std::string> read_memory_file(const Descriptor& file, std::size_t size_max) {
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return refuse("read");
    if (facts.st_size < 0 || static_cast<std::size_t>(facts.st_size) > size_max) {
        return fail("a file in memory is longer than " + std::to_string(size_max) + " bytes");
    }
    std::string content(static_cast<std::size_t>(facts.st_size), '\0');
    std::size_t size = 0;
    while (size < content.size()) {
        const ssize_t got = ::pread(
            file.get(), content.data() + size, content.size() - size, static_cast<off_t>(size));
        if (got < 0) return refuse("read");
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    content.resize(size);
    return content;
}

}  // namespace wspool::io
