#include "onednn/packed_weights.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "measure/clock.hpp"

namespace tpbench::onednn {
namespace {

// Where entry (row, column) of a factor lies in a packed one, in elements: the sum of what the row and what
// the column says (oneDNN, "Understanding Memory Formats", blocked layouts).
class BlockedLayout {
 public:
  explicit BlockedLayout(const dnnl::memory::desc& desc)
      : blocking_(desc.data.format_desc.blocking), start_(desc.data.offset0) {}

  static bool can_read(const dnnl::memory::desc& desc) { return desc.data.format_kind == dnnl_blocked; }

  [[nodiscard]] std::int64_t offset_of_row(std::int64_t row) const { return start_ + offset(0, row); }
  [[nodiscard]] std::int64_t offset_of_column(std::int64_t column) const { return offset(1, column); }

 private:
  // Blocks within blocks, the innermost last; what is left of the index counts the outermost.
  [[nodiscard]] std::int64_t offset(int dimension, std::int64_t index) const {
    std::int64_t offset = 0, inner = 1;
    for (int i = blocking_.inner_nblks - 1; i >= 0; --i) {
      const std::int64_t size = blocking_.inner_blks[i];
      if (blocking_.inner_idxs[i] == dimension) {
        offset += index % size * inner;
        index /= size;
      }
      inner *= size;
    }
    return offset + index * blocking_.strides[dimension];
  }

  dnnl_blocking_desc_t blocking_;
  std::int64_t start_;
};

// Rows [first, first + count) of `whole`, from column `column` on, out of its packed form.
template <typename Bits>
void unpack(const dnnl::memory& packed, bool transposed, std::int64_t first, std::int64_t column,
            const MatrixView& to) {
  const BlockedLayout layout(packed.get_desc());
  const auto* from = static_cast<const Bits*>(packed.get_data_handle());
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(to.columns));
  for (std::int64_t c = 0; c < to.columns; ++c) {
    offsets[static_cast<std::size_t>(c)] =
        transposed ? layout.offset_of_row(column + c) : layout.offset_of_column(column + c);
  }
  for (std::int64_t r = 0; r < to.rows; ++r) {
    const Bits* row =
        from + (transposed ? layout.offset_of_column(first + r) : layout.offset_of_row(first + r));
    auto* out = static_cast<Bits*>(to.row(r));
    for (std::size_t c = 0; c < offsets.size(); ++c) out[c] = row[offsets[c]];
  }
}

void unpack(const dnnl::memory& packed, bool transposed, std::int64_t first, std::int64_t column,
            const MatrixView& to) {
  if (size_of(to.dtype) == 2)
    unpack<std::uint16_t>(packed, transposed, first, column, to);
  else
    unpack<std::uint32_t>(packed, transposed, first, column, to);
}

}  // namespace

std::optional<TrackedMemory::BlockInfo> PackedWeights::weight_block(const MatrixView& x) const {
  const auto block = memory_.block_of(x.data);
  if (!block) return std::nullopt;
  const bool is_weight =
      block->category == Category::weights || block->category == Category::replicated_weights;
  return is_weight ? block : std::nullopt;
}

PackedWeights::Weight& PackedWeights::weight_of(const TrackedMemory::BlockInfo& block) {
  Weight& weight = weights_[block.data];
  weight.bytes = block.bytes;
  return weight;
}

const dnnl::memory& PackedWeights::packed(const Factor& factor, const dnnl::memory::desc& plain,
                                          const dnnl::memory::desc& wanted) {
  const MatrixView& rows = factor.matrix;
  const TrackedMemory::BlockInfo block = weight_block(rows).value();
  Weight& weight = weight_of(block);
  for (const Form& form : weight.forms) {
    if (form.rows.data == rows.data && form.plain == plain && form.packed == wanted) return form.memory;
  }
  const Stopwatch stopwatch;
  const bool is_whole = rows.data == block.data && rows.elements() * size_of(rows.dtype) == block.bytes;
  // A layout of the whole is made of another; a part, or the transpose, of the rows.
  const bool repacks = !weight.has_rows && weight.forms.front().plain == plain;
  if (!repacks) {
    if (!is_whole) weight.keeps_rows = true;
    if (!weight.has_rows) put_rows_back(block.data, weight);
  }
  const auto bytes = static_cast<std::int64_t>(wanted.get_size());
  Allocation allocation = memory_.allocate(block.category, bytes);
  dnnl::memory from =
      repacks ? weight.forms.front().memory : dnnl::memory(plain, stream_.get_engine(), rows.data);
  dnnl::memory to(wanted, stream_.get_engine(), allocation.data());
  dnnl::reorder(from, to).execute(stream_, from, to);
  stream_.wait();
  weight.forms.push_back({rows, factor.transposed, plain, wanted, to, bytes, std::move(allocation)});
  if (is_whole && weight.has_rows && !weight.keeps_rows && BlockedLayout::can_read(wanted)) {
    std::swap(weight.forms.front(), weight.forms.back());
    weight.has_rows = false;
    memory_.let_go(block.data);
  }
  packing_s_ += stopwatch.elapsed_s();
  return weight.has_rows || repacks ? weight.forms.back().memory : weight.forms.front().memory;
}

void PackedWeights::put_rows_back(void* data, Weight& weight) {
  const Form& whole = weight.forms.front();
  memory_.take_back(data);
  unpack(whole.memory, whole.transposed, 0, 0, whole.rows);
  weight.has_rows = true;
}

void PackedWeights::have_changed(const MatrixView& x) {
  if (weights_.empty()) return;
  const auto block = weight_block(x);
  const auto found = block ? weights_.find(block->data) : weights_.end();
  if (found == weights_.end()) return;
  Weight& weight = found->second;
  if (!weight.has_rows) put_rows_back(block->data, weight);
  weight.forms.clear();
}

void PackedWeights::keep_rows(const MatrixView& x) {
  const auto block = weight_block(x);
  if (!block) return;
  Weight& weight = weight_of(*block);
  weight.keeps_rows = true;
  if (!weight.has_rows) put_rows_back(block->data, weight);
}

MatrixView PackedWeights::rows_of(const MatrixView& x, std::vector<std::byte>& scratch) const {
  const auto block = weights_.empty() ? std::nullopt : weight_block(x);
  const auto found = block ? weights_.find(block->data) : weights_.end();
  if (found == weights_.end() || found->second.has_rows) return x;
  const Form& whole = found->second.forms.front();
  const std::int64_t size = size_of(x.dtype);
  const std::int64_t at =
      (static_cast<const std::byte*>(x.data) - static_cast<const std::byte*>(block->data)) / size;
  scratch.resize(static_cast<std::size_t>(x.elements() * size));
  const MatrixView copy{scratch.data(), x.dtype, x.rows, x.columns, x.columns};
  unpack(whole.memory, whole.transposed, at / whole.rows.columns, at % whole.rows.columns, copy);
  return copy;
}

std::int64_t PackedWeights::packed_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& [data, weight] : weights_) {
    for (const Form& form : weight.forms) bytes += form.bytes;
  }
  return bytes;
}

std::int64_t PackedWeights::bytes_let_go() const {
  std::int64_t bytes = 0;
  for (const auto& [data, weight] : weights_) bytes += weight.has_rows ? 0 : weight.bytes;
  return bytes;
}

}  // namespace tpbench::onednn
