// IndexList: a doubly linked list of objects that are known by index and hold their links
// themselves, so that putting in, taking out and finding an end are a few stores and no allocation.
// `links_of` is a callable, std::uint32_t index → ListLinks&. An object is in one list per
// ListLinks at a time; the owner knows in which.
#pragma once

#include "base/assert.h"

#include <cstdint>

namespace wspool::pool {

struct ListLinks {
    std::uint32_t previous = UINT32_MAX;
    std::uint32_t next = UINT32_MAX;
};

class IndexList {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;

    [[nodiscard]] bool is_empty() const { return size_ == 0; }
    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] std::uint32_t front() const { return front_; }  // none when empty
    [[nodiscard]] std::uint32_t back() const { return back_; }

    template <class LinksOf>
    void push_back(LinksOf links_of, std::uint32_t index) {
        links_of(index) = ListLinks{back_, none};
        (back_ == none ? front_ : links_of(back_).next) = index;
        back_ = index;
        ++size_;
    }

    template <class LinksOf>
    void remove(LinksOf links_of, std::uint32_t index) {
        WSPOOL_ASSERT(size_ > 0);
        const ListLinks links = links_of(index);
        (links.previous == none ? front_ : links_of(links.previous).next) = links.next;
        (links.next == none ? back_ : links_of(links.next).previous) = links.previous;
        --size_;
    }

  private:
    std::uint32_t front_ = none;
    std::uint32_t back_ = none;
    std::uint32_t size_ = 0;
};

}  // namespace wspool::pool
