#include "link/record_reader.h"

#include <algorithm>

namespace wspool::link {

namespace {

// More than this an idle link does not keep.
constexpr std::size_t idle_capacity_max = 64 * 1024;

}  // namespace

std::uint32_t declared_size(const std::byte* header) {
    const auto at = [header](std::size_t i) { return std::to_integer<std::uint32_t>(header[i]); };
    const std::uint32_t size = at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
    const bool is_ours = at(5) == record_version && at(6) == 0 && at(7) == 0;
    return is_ours && size >= record_header_size ? size : 0;
}

ReadOutcome RecordReader::next(ByteView& input, ByteView& record) {
    if (is_handed_out_) {
        is_handed_out_ = false;
        if (partial_.capacity() > idle_capacity_max) partial_.release();
        partial_.clear();
    }
    if (partial_.empty() && input.size() >= record_header_size) {
        const std::size_t size = check(input.data());
        if (size == 0) return ReadOutcome::broken;
        if (size <= input.size()) {
            record = input.first(size);
            input = input.subspan(size);
            return ReadOutcome::record;
        }
    }
    if (!fill(record_header_size, input)) return ReadOutcome::more;
    const std::size_t size = check(partial_.data());
    if (size == 0) return ReadOutcome::broken;
    if (!fill(size, input)) return ReadOutcome::more;
    record = partial_.view();
    is_handed_out_ = true;
    return ReadOutcome::record;
}

// Nought, and a sentence, for what cannot be read on from.
std::size_t RecordReader::check(const std::byte* header) {
    const std::size_t size = declared_size(header);
    if (size == 0) {
        sentence_ = "the peer sent a record whose header is none of ours";
    } else if (size > size_max_) {
        sentence_ = "the peer sent a record of " + std::to_string(size) +
                    " bytes, more than the limit of " + std::to_string(size_max_);
        return 0;
    }
    return size;
}

// Keeps input until `size` bytes are kept, or there is no more.
bool RecordReader::fill(std::size_t size, ByteView& input) {
    if (partial_.size() < size) {
        const ByteView part = input.first(std::min(size - partial_.size(), input.size()));
        partial_.append(part);
        input = input.subspan(part.size());
    }
    return partial_.size() >= size;
}

}  // namespace wspool::link
