#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.hpp"
#include "compute/backend.hpp"

namespace tpbench {

/// Who multiplies matrices on the host, for one case and rank. All calls come from the rank's main thread and
/// have finished their work when they return. Failures throw CaseError.
class Products {
 public:
  virtual ~Products() = default;

  /// Threads that it really uses.
  [[nodiscard]] virtual int threads() const = 0;
  /// What Backend::multiply says.
  virtual void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) = 0;
  /// The values of x have changed: what was packed of them is packed anew when it is multiplied with.
  virtual void has_changed(const MatrixView&) {}
  /// Somebody else reads x where it lies, now and in each step to come: its rows are put back there, and
  /// stay.
  virtual void is_read(const MatrixView&) {}
  /// The entries of x: x itself, or where its rows are not kept a copy in `scratch`. By any thread, while
  /// nothing multiplies.
  virtual MatrixView rows_of(const MatrixView& x, std::vector<std::byte>&) const { return x; }
  /// What ran so far; empty where the library does not tell.
  [[nodiscard]] virtual ProductFacts facts() const { return {}; }
};

/// What a library is to do for a case.
struct ProductNeeds {
  int threads = 1;
  /// Where tensors lie. Weights of this memory are multiplied with as the library packs them best, once, at
  /// the first product, in the category of the weight. The pages of their rows are let go of where every
  /// product takes the weight whole and nobody else reads it. Null: as they lie.
  TrackedMemory* packs_into = nullptr;
};

/// One row of the table of libraries.
struct LibraryEntry {
  std::string_view name;
  /// It packs weights (`weight_layout`).
  bool packs;
  /// Each launch times it on every rank when it starts (compute/core_rate.hpp); others are timed in
  /// the cases that have them.
  bool timed_at_start;
  /// The key of environment.json under which `describe` stands.
  std::string_view described_as;
  /// Why it cannot multiply matrices of that type on this machine; empty where it can. The first call loads
  /// the library.
  std::optional<std::string> (*why_not)(DType dtype);
  std::unique_ptr<Products> (*make)(const ProductNeeds& needs);
  /// Version, kernels, threads, or what is missing for it.
  Json (*describe)();
};

std::span<const LibraryEntry> all_libraries();
const LibraryEntry* find_library(std::string_view name);

/// What libraries of a plug-in bring: the functions of their row.
struct LibraryPlugin {
  std::string build;
  std::optional<std::string> (*why_not)(DType dtype);
  std::unique_ptr<Products> (*make)(const ProductNeeds& needs);
  Json (*describe)();
};

/// OpenBLAS, which the program is linked with.
std::unique_ptr<Products> make_openblas_products(const ProductNeeds& needs);

/// {"library": "OpenBLAS", "config": "...", "threading": "pthreads", "max_threads": 2, "core": "SkylakeX",
/// ...}: with kernels_to_json()
Json describe_openblas();

}  // namespace tpbench

/// What the plug-in of a library exports.
extern "C" const tpbench::LibraryPlugin* tpbench_library_plugin();
