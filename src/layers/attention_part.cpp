#include "layers/attention_part.hpp"

#include <algorithm>
#include <cmath>

#include "layers/tensors.hpp"
#include "workload/pieces.hpp"

namespace tpbench {
namespace {

// Rows of scores: those of a query head (or of the query heads that share a key/value head, where there is
// one token), and as many columns as the last of them may look at. Those of several heads, or of several
// sequences, are in work at one time.
struct Tile {
  MatrixStack query, context;                    // [rows, d]
  MatrixStack keys, values;                      // [columns, d]
  MatrixStack query_gradient, context_gradient;  // in training, as above
  MatrixStack key_gradient, value_gradient;
  Visible visible;
};

// A key/value head of a sequence, and `count - 1` that follow it: of the same sequence, or of the next ones.
struct Heads {
  std::int64_t sequence = 0;
  std::int64_t kv_head = 0;  // of this rank's
  std::int64_t count = 1;
};

class AttentionPart final : public RegionPart {
 public:
  explicit AttentionPart(const LayerContext& context)
      : context_(context),
        extent_(attention_extent(shape())),
        heads_(context.shard(shape().num_heads)),
        kv_heads_(shard_or_copy_of(shape().num_kv_heads, context.degree(), context.rank())),
        scale_(1 / std::sqrt(static_cast<double>(extent_.head_size))) {
    if (extent_.kv_copies > 1)
      copies_ = context_.split(static_cast<int>(context.communicator.rank() / extent_.kv_copies));
    const std::int64_t h = shape().hidden_size, q = extent_.query_width(), kv = extent_.kv_width();
    const std::int64_t tokens = shape().tokens, layers = shape().num_layers;
    const KeptSets kept = shape().trains() ? shape().kept_sets() : KeptSets();
    for (std::int64_t set = 0; set < kept.activations; ++set)
      qkv_.push_back(context_.make_matrix(Category::activations, tokens, q + kv));
    for (std::int64_t set = 0; set < kept.inputs; ++set)
      context_rows_.push_back(context_.make_matrix(Category::activations, tokens, q));
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      query_.push_back(context_.make_matrix(Category::weights, h, q));
      key_value_.push_back(context_.make_matrix(
          extent_.kv_copies > 1 ? Category::replicated_weights : Category::weights, h, kv));
      out_.push_back(context_.make_matrix(Category::weights, q, h));
      if (shape().context_length > 0) {
        const std::int64_t rows = shape().repeats * shape().batch_size() * extent_.kv_heads * extent_.columns;
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
    const std::int64_t score_rows = extent_.tiles_at_once * extent_.tile_rows;
    scores_ = context_.make_matrix(Category::workspace, score_rows, extent_.columns);
    if (!shape().trains()) return;
    scores_gradient_ = context_.make_matrix(Category::workspace, score_rows, extent_.columns);
    for (std::int64_t set = 0; set < std::max<std::int64_t>(1, kept.gradients); ++set)
      qkv_gradient_.push_back(context_.make_matrix(Category::gradients, tokens, q + kv));
    context_gradient_ = context_.make_matrix(Category::gradients, tokens, q);
  }

  void fill(Heartbeat& heartbeat) override {
    const std::int64_t h = shape().hidden_size, d = extent_.head_size;
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
      const std::size_t l = index(layer);
      const std::int64_t set = context_.whole_layer(layer);
      backend().fill(query_[l].view(), query_key(context_.seed, set, h), 0, heads_.begin * d);
      backend().fill(keys_of(key_value_[l].view()), weight_key(context_.seed, TensorName::key, set, h), 0,
                     kv_heads_.begin * d);
      backend().fill(values_of(key_value_[l].view()), weight_key(context_.seed, TensorName::value, set, h), 0,
                     kv_heads_.begin * d);
      backend().fill(out_[l].view(), weight_key(context_.seed, TensorName::out, set, shape().query_width()),
                     heads_.begin * d, 0);
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
    for_each_tile(layer,
                  [&](const Tile& tile) { backend().gemm(make_scores(tile), tile.values, tile.context); });
  }

  void project(std::int64_t layer, const OutputPiece& piece, const MatrixView& target) override {
    backend().gemm(context_of(layer).row_slice(piece.rows.begin, piece.rows.size()),
                   out_[index(layer)].view().column_slice(piece.columns.begin, piece.columns.size()), target);
  }

  void input_gradient(std::int64_t layer, const MatrixView& dy, const MatrixView& dx) override {
    const std::size_t l = index(layer);
    const MatrixView& dqkv = qkv_gradient_of(layer);
    backend().gemm(dy, transposed(out_[l].view()), context_gradient_.view());
    backend().set_zero(keys_and_values_of(dqkv));
    for_each_tile(layer, [&](const Tile& tile) { backward_through(tile); });
    backend().gemm(queries_of(dqkv), transposed(query_[l].view()), dx);
    backend().gemm_add(keys_and_values_of(dqkv), transposed(key_value_[l].view()), dx);
  }

  void weight_gradients(std::int64_t layer, const MatrixView& x, const MatrixView& dy) override {
    const std::size_t l = index(layer);
    const MatrixView& dqkv = qkv_gradient_of(layer);
    const Store store = context_.into_gradient();
    backend().multiply(transposed(context_of(layer)), dy, out_gradient_[l].view(), store);
    backend().multiply(transposed(x), queries_of(dqkv), query_gradient_[l].view(), store);
    backend().multiply(transposed(x), keys_and_values_of(dqkv), key_value_gradient_[l].view(), store);
  }

  // A copy of a key/value head has seen the query heads of its own rank only.
  void sum_copied_gradients(std::int64_t layer, Trace& trace) override {
    if (!copies_) return;
    const MatrixView& gradient = key_value_gradient_[index(layer)].view();
    // Where one key/value head serves the whole group it is a collective of the group like any other.
    const std::int64_t part = extent_.kv_copies < shape().layout.tp ? extent_.kv_copies : 0;
    trace.begin(Activity::all_reduce, gradient.elements() * shape().element_size(), part);
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
      for (const Matrix* matrix :
           {&scores_gradient_, &qkv_gradient_[context_.gradients_at(layer)], &context_gradient_,
            &query_gradient_[l], &key_value_gradient_[l], &out_gradient_[l]})
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
    return qkv_[context_.activations_at(layer)].view();
  }
  [[nodiscard]] const MatrixView& context_of(std::int64_t layer) const {
    return context_rows_[context_.inputs_at(layer)].view();
  }
  [[nodiscard]] const MatrixView& qkv_gradient_of(std::int64_t layer) const {
    return qkv_gradient_[context_.gradients_at(layer)].view();
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
  // `first`, and the same part of the heads, or sequences, that follow: so many elements from one to the
  // next.
  [[nodiscard]] MatrixStack with_following(const MatrixView& first, const Heads& heads,
                                           std::int64_t from_head_to_head,
                                           std::int64_t from_sequence_to_sequence) const {
    return {first, heads.count,
            extent_.at_once_are_sequences ? from_sequence_to_sequence : from_head_to_head};
  }
  // The rows of one sequence, the columns of one key/value head.
  [[nodiscard]] MatrixStack rows_of_heads(const MatrixView& keys_or_values, const Heads& heads) const {
    const std::int64_t s = shape().sequence_length, d = extent_.head_size;
    return with_following(keys_or_values.block(heads.sequence * s, s, heads.kv_head * d, d), heads, d,
                          s * keys_or_values.row_stride);
  }
  // All tokens of one head of one sequence in a cache, the new ones last. Sequences are those of the
  // microbatch under way.
  [[nodiscard]] MatrixStack cached(const Matrix& cache, const Heads& heads) const {
    return cached(cache, heads, context_.stage == nullptr ? 0 : context_.stage->microbatch);
  }
  [[nodiscard]] MatrixStack cached(const Matrix& cache, const Heads& heads, std::int64_t microbatch) const {
    const std::int64_t rows = extent_.columns, elements = rows * extent_.head_size;
    const std::int64_t sequence = microbatch * shape().batch_size() + heads.sequence;
    const std::int64_t place = sequence * extent_.kv_heads + heads.kv_head;
    return with_following(cache.view().row_slice(place * rows, rows), heads, elements,
                          extent_.kv_heads * elements);
  }

  // Calls `visit(heads)` until all have had their turn, `at_once` of them each time.
  template <typename Visit>
  void for_all_heads(std::int64_t at_once, const Visit& visit) const {
    const bool sequences = extent_.at_once_are_sequences;
    const std::int64_t batch = shape().batch_size(), kv_heads = extent_.kv_heads;
    const std::int64_t outer = sequences ? kv_heads : batch, inner = sequences ? batch : kv_heads;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; i += at_once) {
        const std::int64_t count = std::min(at_once, inner - i);
        visit(sequences ? Heads{i, o, count} : Heads{o, i, count});
      }
    }
  }

  template <typename Visit>
  void for_each_cache(std::int64_t layer, const Visit& visit) const {
    for (std::int64_t microbatch = 0; microbatch < shape().repeats; ++microbatch) {
      for_all_heads(1, [&](const Heads& head) {
        Heads of_batch = head;
        of_batch.sequence += microbatch * shape().batch_size();
        visit(cached(key_cache_[index(layer)], head, microbatch).first, TensorName::cached_keys, of_batch);
        visit(cached(value_cache_[index(layer)], head, microbatch).first, TensorName::cached_values,
              of_batch);
      });
    }
  }

  void fill_caches(std::int64_t layer, Heartbeat& heartbeat) const {
    const std::int64_t earlier = shape().context_length;
    for_each_cache(layer, [&](const MatrixView& cache, TensorName name, const Heads& head) {
      backend().fill(cache.row_slice(0, earlier), plain_key(context_.seed, name, context_.whole_layer(layer)),
                     head.sequence * earlier, (kv_heads_.begin + head.kv_head) * extent_.head_size);
      heartbeat.beat(Activity::compute);
    });
  }

  void append_to_caches(std::int64_t layer) const {
    const MatrixView new_tokens = keys_and_values_of(qkv_of(layer));
    append(keys_of(new_tokens), key_cache_[index(layer)]);
    append(values_of(new_tokens), value_cache_[index(layer)]);
  }
  // Of one token each, the rows of all sequences are copied at once: they lie at equal distances in the
  // cache.
  void append(const MatrixView& new_tokens, const Matrix& cache) const {
    const std::int64_t s = shape().sequence_length, d = extent_.head_size;
    if (s == 1) {
      for (std::int64_t kv_head = 0; kv_head < extent_.kv_heads; ++kv_head) {
        MatrixView places = cached(cache, {0, kv_head}).first.row_slice(shape().context_length, 1);
        places.rows = shape().batch_size();
        places.row_stride = extent_.kv_heads * extent_.columns * d;
        backend().copy(new_tokens.column_slice(kv_head * d, d), places);
      }
      return;
    }
    for_all_heads(1, [&](const Heads& head) {
      backend().copy(rows_of_heads(new_tokens, head).first,
                     cached(cache, head).first.row_slice(shape().context_length, s));
    });
  }

  void poison_new_tokens(std::int64_t layer) const {
    for_each_cache(layer, [&](const MatrixView& cache, TensorName, const Heads&) {
      backend().poison(cache.row_slice(shape().context_length, shape().sequence_length));
    });
  }

  // Calls `visit(tile)` for all tiles, one after the other, as they use the same scratch.
  template <typename Visit>
  void for_each_tile(std::int64_t layer, const Visit& visit) const {
    const std::int64_t group = extent_.heads / extent_.kv_heads, d = extent_.head_size,
                       s = shape().sequence_length;
    for_all_heads(extent_.tiles_at_once, [&](const Heads& heads) {
      const auto following = [&](const MatrixView& first, const MatrixView& x) {
        return with_following(first, heads, group * d, s * x.row_stride);
      };
      const std::int64_t first_head = heads.kv_head * group;
      if (extent_.stacks_heads) {
        const auto heads_of_token = [&](const MatrixView& x) {
          return following(as_rows(x.block(heads.sequence, 1, first_head * d, group * d)), x);
        };
        visit(make_tile(layer, heads, heads_of_token, extent_.columns, {extent_.columns, 0}));
        return;
      }
      for (std::int64_t query_head = first_head; query_head < first_head + group; ++query_head) {
        for (std::int64_t row = 0; row < s; row += extent_.tile_rows) {
          const std::int64_t rows = std::min(extent_.tile_rows, s - row);
          const auto rows_of_sequence = [&](const MatrixView& x) {
            return following(x.block(heads.sequence * s + row, rows, query_head * d, d), x);
          };
          // The last row looks at all columns of the tile, each one before it at one less.
          const std::int64_t columns = shape().context_length + row + rows;
          visit(make_tile(layer, heads, rows_of_sequence, columns, {columns - (rows - 1), 1, rows}));
        }
      }
    });
  }

  // A tile with `columns` of keys. `part` cuts its rows from a matrix of all query heads.
  template <typename Part>
  [[nodiscard]] Tile make_tile(std::int64_t layer, const Heads& heads, const Part& part, std::int64_t columns,
                               const Visible& visible) const {
    const MatrixView key_value = keys_and_values_of(qkv_of(layer));
    const bool keeps = shape().context_length > 0;
    Tile tile;
    tile.visible = visible;
    tile.query = part(queries_of(qkv_of(layer)));
    tile.context = part(context_of(layer));
    tile.keys = keeps ? cached(key_cache_[index(layer)], heads) : rows_of_heads(keys_of(key_value), heads);
    tile.values =
        keeps ? cached(value_cache_[index(layer)], heads) : rows_of_heads(values_of(key_value), heads);
    if (shape().trains()) {
      const MatrixView& gradient = qkv_gradient_of(layer);
      tile.query_gradient = part(queries_of(gradient));
      tile.context_gradient = part(context_gradient_.view());
      tile.key_gradient = rows_of_heads(keys_of(keys_and_values_of(gradient)), heads);
      tile.value_gradient = rows_of_heads(values_of(keys_and_values_of(gradient)), heads);
    }
    for (MatrixStack* of_keys : {&tile.keys, &tile.values, &tile.key_gradient, &tile.value_gradient})
      of_keys->first.rows = columns;
    return tile;
  }

  // The heads of one token as the rows of a matrix: a single row times a matrix would wait for memory.
  [[nodiscard]] MatrixView as_rows(const MatrixView& heads_of_token) const {
    MatrixView rows = heads_of_token;
    rows.rows = heads_of_token.columns / extent_.head_size;
    rows.columns = rows.row_stride = extent_.head_size;
    return rows;
  }

  // Scratch as matrices of this tile's size, without gaps between them or between rows.
  static MatrixStack scratch_for(const Matrix& scratch, const Tile& tile) {
    const std::int64_t rows = tile.query.first.rows, columns = tile.keys.first.rows;
    return {MatrixView{scratch.view().data, scratch.view().dtype, rows, columns, columns}, tile.query.count,
            rows * columns};
  }
  // One below the other.
  static MatrixView as_one(const MatrixStack& scores) {
    MatrixView all = scores.first;
    all.rows *= scores.count;
    return all;
  }

  [[nodiscard]] MatrixStack make_scores(const Tile& tile) const {
    const MatrixStack scores = scratch_for(scores_, tile);
    backend().gemm(tile.query, transposed(tile.keys), scores);
    backend().softmax(as_one(scores), tile.visible, scale_);
    return scores;
  }

  // dV += P^T dO; dP = dO V^T; through the softmax; dQ = dS K; dK += dS^T Q. P is made anew: to keep the
  // scores of all heads would take more memory than all else (arXiv 2205.05198, selective recomputation).
  void backward_through(const Tile& tile) const {
    const MatrixStack scores = make_scores(tile), dscores = scratch_for(scores_gradient_, tile);
    backend().gemm_add(transposed(scores), tile.context_gradient, tile.value_gradient);
    backend().gemm(tile.context_gradient, transposed(tile.values), dscores);
    backend().softmax_backward(as_one(scores), as_one(dscores), scale_);
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
  std::vector<Matrix> qkv_gradient_;
  Matrix context_gradient_;
};

}  // namespace

std::unique_ptr<RegionPart> make_attention_part(const LayerContext& context) {
  return std::make_unique<AttentionPart>(context);
}

}  // namespace tpbench
