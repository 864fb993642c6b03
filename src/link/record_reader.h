// RecordReader: cuts the bytes of one direction of a link into records. Pure: bytes in, records
// out.
//
// How it works: a record says its size in its header (8 bytes, little endian: u32 size of the
// whole, u8 type, u8 version, u16 nought). What lies whole in the input is handed out in place;
// only what is partial is kept, and handed out from there when it is whole.
//
// Invariants: 1. any split of the bytes gives the same records. 2. Nothing is allocated because of
// a declared size: what is kept grows with what arrived.
// Limits: size_max; a larger record, or a header that is none, breaks the link for good: where the
// next record begins is not known any more.
#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace wspool::link {

inline constexpr std::size_t record_header_size = 8;
inline constexpr std::uint8_t record_version = 1;

// The size that a header declares; nought where it is no header of ours. At least
// record_header_size bytes.
[[nodiscard]] std::uint32_t declared_size(const std::byte* header);

enum class ReadOutcome : std::uint8_t {
    record,
    more,    // the input is used up
    broken,  // sentence() says why; the rest of the input is meaningless
};

class RecordReader {
  public:
    explicit RecordReader(std::size_t size_max) : size_max_(size_max) {}

    // Takes one record from the front of `input`, header included; valid until the next call, and
    // as long as the input's bytes.
    [[nodiscard]] ReadOutcome next(ByteView& input, ByteView& record);
    [[nodiscard]] const std::string& sentence() const { return sentence_; }
    // Bytes of an unfinished record.
    [[nodiscard]] std::size_t kept() const { return is_handed_out_ ? 0 : partial_.size(); }
    [[nodiscard]] std::size_t memory() const { return partial_.capacity(); }

  private:
    [[nodiscard]] std::size_t check(const std::byte* header);
    [[nodiscard]] bool fill(std::size_t size, ByteView& input);

    std::size_t size_max_;
    ByteBuffer partial_;
    bool is_handed_out_ = false;  // `partial_` is the last record
    std::string sentence_;
};

}  // namespace wspool::link
