#include "layers/vocabulary.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "comm/device_side.hpp"

namespace tpbench {

std::vector<std::int64_t> generated_ids(std::uint64_t seed, TensorName name, const Shape& shape) {
  std::vector<double> values(static_cast<std::size_t>(shape.tokens));
  fill_row(values.data(), plain_key(seed, name, 0), 0, 0, shape.tokens);
  std::vector<std::int64_t> ids;
  for (const double value : values) {
    const double share = (value + 1) / 2;  // from 0 to below 1
    const auto id = static_cast<std::int64_t>(share * static_cast<double>(shape.vocabulary));
    ids.push_back(std::clamp<std::int64_t>(id, 0, shape.vocabulary - 1));
  }
  return ids;
}

TokenIdList::TokenIdList(const LayerContext& context, TensorName name)
    : context_(context),
      name_(name),
      memory_(context.backend.memory().allocate(
          Category::activations,
          context.shape.repeats * context.shape.tokens * static_cast<std::int64_t>(sizeof(std::int64_t)))) {}

void TokenIdList::fill() {
  Shape batch = context_.shape;
  batch.tokens *= batch.repeats;
  const std::vector<std::int64_t> ids = generated_ids(context_.seed, name_, batch);
  const std::size_t bytes = ids.size() * sizeof(std::int64_t);
  if (DeviceSide* device = context_.backend.device())
    device->copy_to_device(memory_.data(), ids.data(), static_cast<std::int64_t>(bytes));
  else
    std::memcpy(memory_.data(), ids.data(), bytes);
}

TokenIds TokenIdList::ids() const {
  const Range held = context_.shape.held_vocabulary(context_.rank());
  const std::int64_t tokens = context_.shape.tokens;
  return {static_cast<const std::int64_t*>(memory_.data()) + context_.microbatch() * tokens, tokens,
          held.begin, held.size()};
}

VocabularyTable::VocabularyTable(const LayerContext& context, const TensorKey& key)
    : context_(context), key_(key), held_(context.shape.held_vocabulary(context.rank())) {
  const std::int64_t rows = context.shape.vocabulary_rows(), h = context.shape.hidden_size;
  weight_ = context.make_matrix(Category::weights, rows, h);
  if (context.shape.trains()) gradient_ = context.make_matrix(Category::gradients, rows, h);
}

VocabularyTable::VocabularyTable(const LayerContext& context, const VocabularyTable& tied)
    : context_(context), key_(tied.key_), held_(tied.held_), tied_(&tied) {
  gradient_ =
      context.make_matrix(Category::gradients, context.shape.vocabulary_rows(), context.shape.hidden_size);
}

void VocabularyTable::fill(Heartbeat& heartbeat) {
  if (tied_ != nullptr) return;
  const MatrixView& rows = weight();
  context_.backend.fill(rows.row_slice(0, held_.size()), key_, held_.begin, 0);
  context_.backend.set_zero(rows.row_slice(held_.size(), rows.rows - held_.size()));
  heartbeat.beat(Activity::compute);
}

Result VocabularyTable::without_padding(std::string_view name, const MatrixView& gradient) const {
  return {name, gradient.row_slice(0, held_.size()), held_.begin, 0};
}

}  // namespace tpbench
