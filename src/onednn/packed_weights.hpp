#pragma once

#include <cstdint>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench::onednn {

/// The weights of a case, each packed as its products want it. As in an inference server, packed ones take
/// the place of the rows: the pages of these are let go of, unless parts of a weight are multiplied with, or
/// somebody else reads it (`keep_rows`). Rows that are asked for nevertheless are read out of the packed
/// weight by what oneDNN documents of its layout, not by the library that has packed it.
class PackedWeights {
 public:
  PackedWeights(TrackedMemory& memory, dnnl::stream& stream) : memory_(memory), stream_(stream) {}

  /// Whether x is a weight, or a part of one.
  [[nodiscard]] bool has(const MatrixView& x) const { return weight_block(x).has_value(); }

  /// A factor of the description `plain`, in the layout `wanted`: packed now, or before.
  const dnnl::memory& packed(const Factor& factor, const dnnl::memory::desc& plain,
                             const dnnl::memory::desc& wanted);

  /// What was packed of the weight that x is of goes. Its rows are there to be written to.
  void have_changed(const MatrixView& x);
  /// The rows of the weight that x is of are there, and stay.
  void keep_rows(const MatrixView& x);
  /// x, or a copy where its rows are not kept.
  MatrixView rows_of(const MatrixView& x, std::vector<std::byte>& scratch) const;

  [[nodiscard]] double packing_s() const { return packing_s_; }
  /// Of packed weights, and of rows that they took the place of, as they stand.
  [[nodiscard]] std::int64_t packed_bytes() const;
  [[nodiscard]] std::int64_t bytes_let_go() const;

 private:
  // One layout of a factor.
  struct Form {
    MatrixView rows;
    bool transposed;
    dnnl::memory::desc plain, packed;
    dnnl::memory memory;
    std::int64_t bytes;
    Allocation allocation;
  };
  struct Weight {
    std::int64_t bytes = 0;
    bool has_rows = true;
    bool keeps_rows = false;
    std::vector<Form> forms;  // where rows are not there, the first is of all of them
  };

  [[nodiscard]] std::optional<TrackedMemory::BlockInfo> weight_block(const MatrixView& x) const;
  Weight& weight_of(const TrackedMemory::BlockInfo& block);
  void put_rows_back(void* data, Weight& weight);

  TrackedMemory& memory_;
  dnnl::stream& stream_;
  std::map<void*, Weight> weights_;  // by where their rows lie
  double packing_s_ = 0;
};

}  // namespace tpbench::onednn
