#include "layers/attention_part.hpp"

#include <algorithm>
#include <cmath>

#include "layers/tensors.hpp"
#include "workload/pieces.hpp"

namespace tpbench {
namespace {

// Rows of scores that are in work at one time: those of a query head (or of the query heads that share a
// key/value head, where there is one token), and as many columns as the last of them may look at.
struct Tile {
  MatrixView query, context;                    // [rows, d]
  MatrixView keys, values;                      // [columns, d]
  MatrixView query_gradient, context_gradient;  // in training, as above
  MatrixView key_gradient, value_gradient;
  std::int64_t first_valid = 0;  // columns that the first row may look at
  std::int64_t step = 0;         // how many more each further row may
};

// One key/value head of one sequence.
struct Head {
  std::int64_t sequence = 0;
  std::int64_t kv_head = 0;  // of this rank's
};

class AttentionPart final : public RegionPart {
 public:
  explicit AttentionPart(const LayerContext& context)
      : context_(context),
        extent_(attention_extent(shape())),
        heads_(shard_of(shape().num_heads, shape().tp_degree, context.communicator.rank())),
        kv_heads_(shard_or_copy_of(shape().num_kv_heads, shape().tp_degree, context.communicator.rank())),
        scale_(1 / std::sqrt(static_cast<double>(extent_.head_size))) {
    if (extent_.kv_copies > 1)
      copies_ = context_.split(static_cast<int>(context.communicator.rank() / extent_.kv_copies));
    const std::int64_t h = shape().hidden_size, q = extent_.query_width(), kv = extent_.kv_width();
    const std::int64_t tokens = shape().tokens, layers = shape().num_layers;
    for (std::int64_t layer = 0; layer < (shape().trains() ? layers : 1); ++layer) {
      qkv_.push_back(context_.make_matrix(Category::activations, tokens, q + kv));
      context_rows_.push_back(context_.make_matrix(Category::activations, tokens, q));
    }
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      query_.push_back(context_.make_matrix(Category::weights, h, q));
      key_value_.push_back(context_.make_matrix(
          extent_.kv_copies > 1 ? Category::replicated_weights : Category::weights, h, kv));
      out_.push_back(context_.make_matrix(Category::weights, q, h));
      if (shape().context_length > 0) {
        const std::int64_t rows = shape().batch_size() * extent_.kv_heads * extent_.columns;
        key_cache_.push_back(context_.make_matrix(Category::kv_cache, rows, extent_.head_size));
        value_cache_.push_back(context_.make_matrix(Category::kv_cache, rows, extent_.head_size));
      }
      if (!shape().trains()) continue;
      query_gradient_.push_back(context_.make_matrix(Category::gradients, h, q));
      key_value_gradient_.push_back(
          copies_ ? copies_->make_matrix(backend().memory(), Category::gradients, shape().dtype, h, kv)
                  : context_.make_matrix(Category::gradients, h, kv));
      out_gradient_.push_back(context_.make_matrix(Category::gradients, q, h));
    }
    scores_ = context_.make_matrix(Category::workspace, extent_.tile_rows, extent_.columns);
    if (!shape().trains()) return;
    scores_gradient_ = context_.make_matrix(Category::workspace, extent_.tile_rows, extent_.columns);
    qkv_gradient_ = context_.make_matrix(Category::gradients, tokens, q + kv);
    context_gradient_ = context_.make_matrix(Category::gradients, tokens, q);
  }

  void fill(Heartbeat& heartbeat) override {
    const std::int64_t h = shape().hidden_size, d = extent_.head_size;
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
      const std::size_t l = index(layer);
      backend().fill(query_[l].view(), query_key(context_.seed, layer, h), 0, heads_.begin * d);
      backend().fill(keys_of(key_value_[l].view()), weight_key(context_.seed, TensorName::key, layer, h), 0,
                     kv_heads_.begin * d);
      backend().fill(values_of(key_value_[l].view()), weight_key(context_.seed, TensorName::value, layer, h),
                     0, kv_heads_.begin * d);
      backend().fill(out_[l].view(), weight_key(context_.seed, TensorName::out, layer, h), heads_.begin * d,
                     0);
      heartbeat.beat(Activity::compute);
      if (shape().context_length > 0) fill_caches(layer, heartbeat);
    }
  }

  void prepare(std::int64_t layer, const MatrixView& x) override {
    const std::size_t l = index(layer);
    const MatrixView& qkv = qkv_of(layer);
    backend().gemm(x, query_[l].view(), queries_of(qkv));
    backend().gemm(x, key_value_[l].view(), keys_and_values_of(qkv));
    if (shape().context_length > 0) append_to_caches(layer);
    for_each_tile(layer, [&](const Tile& tile) {
      const MatrixView scores = make_scores(tile);
      backend().gemm(scores, tile.values, tile.context);
    });
  }

  void project(std::int64_t layer, const OutputPiece& piece, const MatrixView& target) override {
    backend().gemm(context_of(layer).row_slice(piece.rows.begin, piece.rows.size()),
                   out_[index(layer)].view().column_slice(piece.columns.begin, piece.columns.size()), target);
  }

  void backward(std::int64_t layer, const MatrixView& x, const MatrixView& dy,
                const MatrixView& dx) override {
    const std::size_t l = index(layer);
    const MatrixView& dqkv = qkv_gradient_.view();
    backend().gemm(transposed(context_of(layer)), dy, out_gradient_[l].view());
    backend().gemm(dy, transposed(out_[l].view()), context_gradient_.view());
    backend().set_zero(keys_and_values_of(dqkv));
    for_each_tile(layer, [&](const Tile& tile) { backward_through(tile); });
    backend().gemm(transposed(x), queries_of(dqkv), query_gradient_[l].view());
    backend().gemm(transposed(x), keys_and_values_of(dqkv), key_value_gradient_[l].view());
    backend().gemm(queries_of(dqkv), transposed(query_[l].view()), dx);
    backend().gemm_add(keys_and_values_of(dqkv), transposed(key_value_[l].view()), dx);
  }

  // A copy of a key/value head has seen the query heads of its own rank only.
  void sum_copied_gradients(std::int64_t layer, Trace& trace) override {
    if (!copies_) return;
    const MatrixView& gradient = key_value_gradient_[index(layer)].view();
    trace.begin(Activity::all_reduce, gradient.elements() * shape().element_size(), extent_.kv_copies);
    copies_->all_reduce_sum(gradient.data, gradient.elements(), gradient.dtype);
    trace.end();
  }

  void poison(std::int64_t layer, Direction direction) override {
    backend().poison(scores_.view());
    if (direction == Direction::forward) {
      backend().poison(qkv_of(layer));
      backend().poison(context_of(layer));
      if (shape().context_length > 0) poison_new_tokens(layer);
    } else {
      const std::size_t l = index(layer);
      for (const Matrix* matrix : {&scores_gradient_, &qkv_gradient_, &context_gradient_, &query_gradient_[l],
                                   &key_value_gradient_[l], &out_gradient_[l]})
        backend().poison(matrix->view());
    }
  }

  std::vector<Result> gradients(std::int64_t layer) const override {
    const std::size_t l = index(layer);
    const std::int64_t d = extent_.head_size;
    const MatrixView& key_value = key_value_gradient_[l].view();
    return {{"query_gradient", query_gradient_[l].view(), 0, heads_.begin * d},
            {"key_gradient", keys_of(key_value), 0, kv_heads_.begin * d},
            {"value_gradient", values_of(key_value), 0, kv_heads_.begin * d},
            {"out_gradient", out_gradient_[l].view(), heads_.begin * d, 0}};
  }

 private:
  static std::size_t index(std::int64_t layer) { return static_cast<std::size_t>(layer); }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  // Without backward, weight sets share the places of what is kept for it.
  [[nodiscard]] const MatrixView& qkv_of(std::int64_t layer) const {
    return qkv_[shape().trains() ? index(layer) : 0].view();
  }
  [[nodiscard]] const MatrixView& context_of(std::int64_t layer) const {
    return context_rows_[shape().trains() ? index(layer) : 0].view();
  }

  // The columns of a [T, (heads + 2 kv heads) d] matrix; of K and V side by side, the two halves.
  [[nodiscard]] MatrixView queries_of(const MatrixView& qkv) const {
    return qkv.column_slice(0, extent_.query_width());
  }
  [[nodiscard]] MatrixView keys_and_values_of(const MatrixView& qkv) const {
    return qkv.column_slice(extent_.query_width(), extent_.kv_width());
  }
  [[nodiscard]] MatrixView keys_of(const MatrixView& key_value) const {
    return key_value.column_slice(0, extent_.kv_width() / 2);
  }
  [[nodiscard]] MatrixView values_of(const MatrixView& key_value) const {
    return key_value.column_slice(extent_.kv_width() / 2, extent_.kv_width() / 2);
  }
  // The rows of one sequence, the columns of one key/value head.
  [[nodiscard]] MatrixView rows_of_head(const MatrixView& keys_or_values, const Head& head) const {
    return keys_or_values.block(head.sequence * shape().sequence_length, shape().sequence_length,
                                head.kv_head * extent_.head_size, extent_.head_size);
  }
  // All tokens of one head of one sequence in a cache, the new ones last.
  [[nodiscard]] MatrixView cached(const Matrix& cache, const Head& head) const {
    return cache.view().row_slice((head.sequence * extent_.kv_heads + head.kv_head) * extent_.columns,
                                  extent_.columns);
  }

  template <typename Visit>
  void for_each_head(const Visit& visit) const {
    for (std::int64_t sequence = 0; sequence < shape().batch_size(); ++sequence) {
      for (std::int64_t kv_head = 0; kv_head < extent_.kv_heads; ++kv_head) visit(Head{sequence, kv_head});
    }
  }

  template <typename Visit>
  void for_each_cache(std::int64_t layer, const Visit& visit) const {
    const MatrixView new_tokens = keys_and_values_of(qkv_of(layer));
    for_each_head([&](const Head& head) {
      visit(cached(key_cache_[index(layer)], head), keys_of(new_tokens), TensorName::cached_keys, head);
      visit(cached(value_cache_[index(layer)], head), values_of(new_tokens), TensorName::cached_values, head);
    });
  }

  void fill_caches(std::int64_t layer, Heartbeat& heartbeat) const {
    const std::int64_t earlier = shape().context_length;
    for_each_cache(layer, [&](const MatrixView& cache, const MatrixView&, TensorName name, const Head& head) {
      backend().fill(cache.row_slice(0, earlier), plain_key(context_.seed, name, layer),
                     head.sequence * earlier, (kv_heads_.begin + head.kv_head) * extent_.head_size);
      heartbeat.beat(Activity::compute);
    });
  }

  void append_to_caches(std::int64_t layer) const {
    for_each_cache(layer,
                   [&](const MatrixView& cache, const MatrixView& new_tokens, TensorName, const Head& head) {
                     backend().copy(rows_of_head(new_tokens, head),
                                    cache.row_slice(shape().context_length, shape().sequence_length));
                   });
  }

  void poison_new_tokens(std::int64_t layer) const {
    for_each_cache(layer, [&](const MatrixView& cache, const MatrixView&, TensorName, const Head&) {
      backend().poison(cache.row_slice(shape().context_length, shape().sequence_length));
    });
  }

  // Calls `visit(tile)` for all tiles, one after the other, as they use the same scratch.
  template <typename Visit>
  void for_each_tile(std::int64_t layer, const Visit& visit) const {
    const std::int64_t group = extent_.heads / extent_.kv_heads;
    for_each_head([&](const Head& head) {
      const std::int64_t first_head = head.kv_head * group;
      if (extent_.stacks_heads) {
        const auto heads_of_token = [&](const MatrixView& x) {
          return stacked(x, head.sequence, first_head, group);
        };
        visit(make_tile(layer, head, heads_of_token, extent_.columns, 0));
        return;
      }
      for (std::int64_t query_head = first_head; query_head < first_head + group; ++query_head) {
        for (std::int64_t row = 0; row < shape().sequence_length; row += extent_.tile_rows) {
          const std::int64_t rows = std::min(extent_.tile_rows, shape().sequence_length - row);
          const auto rows_of_sequence = [&](const MatrixView& x) {
            return x.block(head.sequence * shape().sequence_length + row, rows,
                           query_head * extent_.head_size, extent_.head_size);
          };
          visit(make_tile(layer, head, rows_of_sequence, shape().context_length + row + rows, rows - 1));
        }
      }
    });
  }

  // A tile with `columns` of keys, of which the last row may look at all, the first at `later` less. `part`
  // cuts its rows from a matrix of all query heads.
  template <typename Part>
  [[nodiscard]] Tile make_tile(std::int64_t layer, const Head& head, const Part& part, std::int64_t columns,
                               std::int64_t later) const {
    const MatrixView key_value = keys_and_values_of(qkv_of(layer));
    const bool keeps = shape().context_length > 0;
    Tile tile;
    tile.query = part(queries_of(qkv_of(layer)));
    tile.context = part(context_of(layer));
    tile.keys = keeps ? cached(key_cache_[index(layer)], head) : rows_of_head(keys_of(key_value), head);
    tile.values = keeps ? cached(value_cache_[index(layer)], head) : rows_of_head(values_of(key_value), head);
    if (shape().trains()) {
      const MatrixView& gradient = qkv_gradient_.view();
      tile.query_gradient = part(queries_of(gradient));
      tile.context_gradient = part(context_gradient_.view());
      tile.key_gradient = rows_of_head(keys_of(keys_and_values_of(gradient)), head).row_slice(0, columns);
      tile.value_gradient = rows_of_head(values_of(keys_and_values_of(gradient)), head).row_slice(0, columns);
    }
    tile.keys = tile.keys.row_slice(0, columns);
    tile.values = tile.values.row_slice(0, columns);
    tile.first_valid = columns - later;
    tile.step = later > 0 ? 1 : 0;
    return tile;
  }

  // The heads of one token as the rows of a matrix: a single row times a matrix would wait for memory.
  [[nodiscard]] MatrixView stacked(const MatrixView& x, std::int64_t token, std::int64_t first_head,
                                   std::int64_t heads) const {
    MatrixView rows = x.block(token, heads, first_head * extent_.head_size, extent_.head_size);
    rows.row_stride = extent_.head_size;
    return rows;
  }

  // Scratch as a matrix of this tile's size, without gaps between rows.
  static MatrixView scratch_for(const Matrix& scratch, const Tile& tile) {
    const std::int64_t columns = tile.keys.rows;
    return {scratch.view().data, scratch.view().dtype, tile.query.rows, columns, columns};
  }

  [[nodiscard]] MatrixView make_scores(const Tile& tile) const {
    const MatrixView scores = scratch_for(scores_, tile);
    backend().gemm(tile.query, transposed(tile.keys), scores);
    backend().softmax(scores, tile.first_valid, tile.step, scale_);
    return scores;
  }

  // dV += P^T dO; dP = dO V^T; through the softmax; dQ = dS K; dK += dS^T Q. P is made anew: to keep the
  // scores of all heads would take more memory than all else (arXiv 2205.05198, selective recomputation).
  void backward_through(const Tile& tile) const {
    const MatrixView scores = make_scores(tile), dscores = scratch_for(scores_gradient_, tile);
    backend().gemm_add(transposed(scores), tile.context_gradient, tile.value_gradient);
    backend().gemm(tile.context_gradient, transposed(tile.values), dscores);
    backend().softmax_backward(scores, dscores, scale_);
    backend().gemm(dscores, tile.keys, tile.query_gradient);
    backend().gemm_add(transposed(dscores), tile.query, tile.key_gradient);
  }

  LayerContext context_;
  AttentionExtent extent_;
  Range heads_;
  Range kv_heads_;
  double scale_;
  std::unique_ptr<Communicator> copies_;  // of the ranks that hold the same key/value head
  std::vector<Matrix> query_, key_value_, out_;
  std::vector<Matrix> key_cache_, value_cache_;
  std::vector<Matrix> qkv_;
  std::vector<Matrix> context_rows_;
  Matrix scores_;
  std::vector<Matrix> query_gradient_, key_value_gradient_, out_gradient_;
  Matrix scores_gradient_;
  Matrix qkv_gradient_;
  Matrix context_gradient_;
};

}  // namespace

std::unique_ptr<RegionPart> make_attention_part(const LayerContext& context) {
  return std::make_unique<AttentionPart>(context);
}

}  // namespace tpbench
