// Runs a fuzz target over files instead of over random inputs, with any compiler: the corpus as a
// regression test. Arguments are folders (or files). Each input is run whole and, while it is
// small, in every shortened form: a parser's faults sit where an input stops too early.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t shortened_size_max = 1024;

void run(const std::vector<char>& input) {
    // An exact heap copy, so that AddressSanitizer sees a read of one byte too many.
    const auto run_first = [&](std::size_t size) {
        const std::vector<std::uint8_t> copy(input.begin(),
                                             input.begin() + static_cast<std::ptrdiff_t>(size));
        LLVMFuzzerTestOneInput(copy.data(), copy.size());
    };
    run_first(input.size());
    if (input.size() > shortened_size_max) return;
    for (std::size_t size = 0; size < input.size(); ++size) run_first(size);
}

std::size_t run_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    run({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
    return 1;
}

std::size_t run_path(const std::filesystem::path& path) {
    if (!std::filesystem::is_directory(path)) return run_file(path);
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
        if (entry.is_regular_file()) count += run_file(entry.path());
    }
    return count;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t count = 0;
    for (int i = 1; i < argc; ++i) {
        if (!std::filesystem::exists(argv[i])) {
            std::fprintf(
                stderr, "%s: there is no such corpus; put at least one input there.\n", argv[i]);
            return 1;
        }
        count += run_path(argv[i]);
    }
    if (count == 0) {
        std::fprintf(stderr, "No input was run: name a folder that holds at least one.\n");
        return 1;
    }
    std::printf("%zu inputs replayed\n", count);
    return 0;
}
