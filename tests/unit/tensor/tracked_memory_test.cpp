#include "tensor/tracked_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "tensor/matrix.hpp"

namespace tpbench {
namespace {

TEST(TrackedMemory, CountsByCategory) {
  TrackedMemory memory;
  const Allocation weights = memory.allocate(Category::weights, 1000);
  const Allocation more = memory.allocate(Category::weights, 24);
  const Allocation buffer = memory.allocate(Category::communication, 1);
  EXPECT_EQ(memory.in_use()[Category::weights], 1024) << "what was asked for, not whole pages";
  EXPECT_EQ(memory.in_use()[Category::communication], 1);
  EXPECT_EQ(memory.in_use().total(), 1025);
  EXPECT_NE(weights.data(), more.data());
}

TEST(TrackedMemory, ForgetsWhatIsFreed) {
  TrackedMemory memory;
  {
    const Allocation block = memory.allocate(Category::activations, 4096);
    EXPECT_EQ(memory.in_use().total(), 4096);
  }
  EXPECT_EQ(memory.in_use(), MemoryByCategory{});
}

TEST(TrackedMemory, RemembersThePeakAndItsCategories) {
  TrackedMemory memory;
  const Allocation weights = memory.allocate(Category::weights, 100);
  { const Allocation workspace = memory.allocate(Category::workspace, 900); }
  const Allocation activations = memory.allocate(Category::activations, 500);
  EXPECT_EQ(memory.peak(), 1000);
  EXPECT_EQ(memory.at_peak()[Category::workspace], 900);
  EXPECT_EQ(memory.at_peak()[Category::activations], 0);
}

// Whether the kernel gives them is seen in a launch (e2e.sweep).
TEST(TrackedMemory, AsksForHugePagesWhereATensorFillsOne) {
  const std::int64_t huge = huge_page_size();
  TrackedMemory memory(take_huge_pages);
  std::vector<Allocation> blocks;
  for (const std::int64_t bytes : {huge, huge + 1, 3 * huge - 5, huge - 1, std::int64_t{1}}) {
    blocks.push_back(memory.allocate(Category::weights, bytes));
    void* data = blocks.back().data();
    const auto beyond = reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(huge);
    EXPECT_TRUE(beyond == 0 || bytes < huge) << bytes;
    std::memset(data, 1, static_cast<std::size_t>(bytes));  // all of it is there, and no other's
  }
  for (const Allocation& block : blocks) {
    const auto info = memory.block_of(block.data());
    const auto* first = static_cast<const char*>(info->data);
    EXPECT_EQ(std::count(first, first + info->bytes, 1), info->bytes);
  }
  memory.let_go(blocks[2].data());
  EXPECT_EQ(static_cast<const char*>(blocks[2].data())[3 * huge - 6], 0);
  EXPECT_EQ(memory.in_use().total(), 3 * huge + 1);
  blocks.clear();
  EXPECT_EQ(memory.in_use().total(), 0);
}

TEST(TrackedMemory, MovesItsBlocks) {
  TrackedMemory memory;
  Allocation first = memory.allocate(Category::weights, 100);
  void* data = first.data();
  Allocation second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(memory.in_use().total(), 100);
  {
    Allocation third = memory.allocate(Category::weights, 10);
    third = std::move(second);
    EXPECT_EQ(third.data(), data);
  }
  second = Allocation();
  EXPECT_EQ(memory.in_use().total(), 0) << "both blocks are freed, each once";
}

TEST(TrackedMemory, HoldsNothingForNothing) {
  TrackedMemory memory;
  EXPECT_EQ(memory.allocate(Category::weights, 0).data(), nullptr);
  EXPECT_EQ(memory.in_use().total(), 0);
}

TEST(TrackedMemory, StartsOnAPage) {
  TrackedMemory memory;
  const Allocation a = memory.allocate(Category::weights, 1), b = memory.allocate(Category::weights, 1);
  for (const Allocation* block : {&a, &b})
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->data()) % 4096, 0U);
}

TEST(TrackedMemory, ShowsItsBlocks) {
  TrackedMemory memory;
  const Allocation a = memory.allocate(Category::weights, 10), b = memory.allocate(Category::workspace, 20);
  std::int64_t bytes = 0;
  int blocks = 0;
  memory.for_each_block([&](const void* data, std::int64_t size) {
    EXPECT_TRUE(data == a.data() || data == b.data());
    bytes += size;
    ++blocks;
  });
  EXPECT_EQ(bytes, 30);
  EXPECT_EQ(blocks, 2);
}

TEST(TrackedMemory, CountsWhatSomebodyElseHasMapped) {
  TrackedMemory memory;
  int freed = 0;
  char bytes[100];
  {
    Allocation adopted =
        memory.adopt(Category::communication, 100, {static_cast<void*>(bytes), [&](void*) { ++freed; }});
    EXPECT_EQ(adopted.data(), bytes);
    EXPECT_EQ(memory.in_use()[Category::communication], 100);
    EXPECT_EQ(memory.peak(), 100);
    int blocks = 0;
    memory.for_each_block([&](const void* data, std::int64_t size) {
      EXPECT_EQ(data, bytes);
      EXPECT_EQ(size, 100);
      ++blocks;
    });
    EXPECT_EQ(blocks, 1);
    const Allocation moved = std::move(adopted);
    EXPECT_EQ(freed, 0);
  }
  EXPECT_EQ(freed, 1) << "let go of once";
  EXPECT_EQ(memory.in_use().total(), 0);

  const Allocation none =
      memory.adopt(Category::weights, 0, {static_cast<void*>(bytes), [&](void*) { ++freed; }});
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(freed, 2) << "nothing is held for nothing";
}

TEST(TrackedMemory, SaysWhatItCouldNotAllocate) {
#ifdef TPBENCH_SANITIZED
  GTEST_SKIP() << "the sanitizer ends the program";
#endif
  TrackedMemory memory;
  try {
    memory.allocate(Category::weights, std::int64_t{1} << 60);
    FAIL() << "an exabyte was allocated";
  } catch (const CaseError& error) {
    EXPECT_NE(std::string(error.what()).find("cannot allocate 1.15 EB for weights: "), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(memory.in_use().total(), 0);
  EXPECT_EQ(memory.peak(), 0);
}

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(TrackedMemory, GivesFreedMemoryBackToTheSystem) {
#ifdef TPBENCH_SANITIZED
  GTEST_SKIP() << "the sanitizer keeps freed memory for a while";
#endif
  constexpr std::int64_t kBytes = 64 << 20;
  TrackedMemory memory;
  const std::int64_t before = resident_bytes();
  {
    const Allocation block = memory.allocate(Category::weights, kBytes);
    std::memset(block.data(), 1, kBytes);
    EXPECT_GE(resident_bytes() - before, kBytes * 9 / 10);
  }
  EXPECT_LE(resident_bytes() - before, kBytes / 10);
}

TEST(TrackedMemory, LetsGoOfPagesAndTakesThemBack) {
  constexpr std::int64_t kBytes = (16 << 20) + 5;
  TrackedMemory memory;
  const Allocation other = memory.allocate(Category::activations, 100);
  const Allocation block = memory.allocate(Category::weights, kBytes);
  auto* bytes = static_cast<unsigned char*>(block.data());
  std::memset(bytes, 1, kBytes);
  const std::int64_t before = resident_bytes();
  memory.let_go(block.data());
  memory.let_go(block.data());
  EXPECT_GE(before - resident_bytes(), kBytes * 9 / 10);
  EXPECT_EQ(memory.in_use().total(), 100);
  EXPECT_EQ(memory.peak(), 100 + kBytes);
  memory.restart_peak();
  EXPECT_EQ(memory.peak(), 100);
  std::int64_t visited = 0;
  memory.for_each_block([&](const void*, std::int64_t size) { visited += size; });
  EXPECT_EQ(visited, 100);
  // It is still there.
  EXPECT_EQ(memory.category_of(bytes + kBytes - 1), Category::weights);
  EXPECT_EQ(bytes[kBytes - 1], 0);
  memory.take_back(block.data());
  memory.take_back(block.data());
  EXPECT_EQ(memory.in_use()[Category::weights], kBytes);
  EXPECT_EQ(memory.peak(), 100 + kBytes);
}

TEST(TrackedMemory, FreesWhatWasLetGoOf) {
  TrackedMemory memory;
  {
    const Allocation block = memory.allocate(Category::weights, 5000);
    memory.let_go(block.data());
  }
  EXPECT_EQ(memory.in_use().total(), 0);
}

TEST(MatrixView, FindsRowsAndColumns) {
  TrackedMemory memory;
  const Matrix matrix(memory.allocate(Category::weights, 3 * 5 * 8), DType::f64, 3, 5);
  const MatrixView& view = matrix.view();
  auto* data = static_cast<double*>(view.data);
  EXPECT_EQ(view.elements(), 15);
  EXPECT_EQ(view.row(2), data + 10);
  const MatrixView slice = view.column_slice(1, 2);
  EXPECT_EQ(slice.data, data + 1);
  EXPECT_EQ(slice.row(2), data + 11);
  EXPECT_EQ(slice.columns, 2);
}

}  // namespace
}  // namespace tpbench
