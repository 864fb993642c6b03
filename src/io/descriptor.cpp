#include "io/descriptor.h"

#include <unistd.h>

namespace wspool::io {

void Descriptor::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace wspool::io
