#include "onednn/onednn_products.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "measure/clock.hpp"
#include "onednn/cpu_isa.hpp"
#include "onednn/packed_weights.hpp"

static_assert(DNNL_VERSION_MAJOR == 2, "a matmul of another interface");
static_assert(DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP, "a oneDNN whose threads are not those of OpenMP");

namespace tpbench::onednn {
namespace {

using Dims = dnnl::memory::dims;

std::optional<dnnl::memory::data_type> type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::f16:
      return dnnl::memory::data_type::f16;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    default:
      return std::nullopt;
  }
}

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

// What a primitive is made for.
struct Geometry {
  DType dtype;
  std::int64_t m, n, k;
  std::int64_t row_stride_a, row_stride_b, row_stride_c;
  bool transposed_a, transposed_b;
  Store store;
  bool packs;  // b
  auto operator<=>(const Geometry&) const = default;
};

dnnl::memory::desc desc_of(DType dtype, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                           bool transposed) {
  const Dims strides = transposed ? Dims{1, row_stride} : Dims{row_stride, 1};
  return {{rows, columns}, type_of(dtype).value(), strides};
}

dnnl::memory::desc desc_of_b(const Geometry& g) {
  return desc_of(g.dtype, g.k, g.n, g.row_stride_b, g.transposed_b);
}

dnnl::matmul::primitive_desc describe_product(const Geometry& g) {
  const dnnl::memory::desc b =
      g.packs ? dnnl::memory::desc({g.k, g.n}, type_of(g.dtype).value(), dnnl::memory::format_tag::any)
              : desc_of_b(g);
  dnnl::primitive_attr attributes;
  if (g.store == Store::add) {
    dnnl::post_ops adds;
    adds.append_sum(1);
    attributes.set_post_ops(adds);
  }
  const dnnl::matmul::desc product(desc_of(g.dtype, g.m, g.k, g.row_stride_a, g.transposed_a), b,
                                   desc_of(g.dtype, g.m, g.n, g.row_stride_c, false));
  return {product, attributes, engine()};
}

// A primitive and what it is called with: the memory of its operands is named anew for each call.
struct Product {
  dnnl::matmul primitive;
  dnnl::memory::desc b;
  bool packs;  // b, as it lies otherwise
  std::unordered_map<int, dnnl::memory> operands;
  KernelUse* kernel;
  double flop;
};

// oneDNN shares a product out over the threads that it asks OpenMP for, and what falls to threads that do not
// come is not computed: so none may be missing. The user's OMP_DYNAMIC and OMP_MAX_ACTIVE_LEVELS are
// overridden, as OMP_NUM_THREADS is; a limit cannot be.
int form_team(int threads) {
  omp_set_dynamic(0);
  omp_set_max_active_levels(std::max(1, omp_get_max_active_levels()));
  omp_set_num_threads(threads);
  int come = 0;
#pragma omp parallel
#pragma omp single
  come = omp_get_num_threads();
  if (come == threads) return threads;
  const char* limit = std::getenv("OMP_THREAD_LIMIT");
  throw CaseError(fmt::format(
      "library onednn got {} of {} threads{}, and would leave out what the others were to multiply; {}set "
      "threads_per_rank to {} at most",
      come, threads,
      limit != nullptr ? fmt::format(": OMP_THREAD_LIMIT={} allows no more", limit) : " from OpenMP",
      limit != nullptr ? "unset that variable, or " : "", come));
}

class OnednnProducts final : public Products {
 public:
  explicit OnednnProducts(const ProductNeeds& needs)
      : threads_(form_team(needs.threads)), memory_(needs.packs_into) {
    if (memory_ != nullptr) weights_.emplace(*memory_, stream_);
  }

  int threads() const override { return threads_; }

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    try {
      for (std::int64_t i = 0; i < c.count; ++i) multiply_one(a.at(i), b.at(i), c.at(i), store);
    } catch (const dnnl::error& error) {
      throw CaseError(fmt::format("oneDNN cannot multiply [{}, {}] by [{}, {}] in {}: {}", a.rows(),
                                  a.columns(), b.rows(), b.columns(), name_of(c.first.dtype), error.what()));
    }
  }

  void has_changed(const MatrixView& x) override {
    if (weights_) weights_->have_changed(x);
  }
  void is_read(const MatrixView& x) override {
    if (weights_) weights_->keep_rows(x);
  }
  MatrixView rows_of(const MatrixView& x, std::vector<std::byte>& scratch) const override {
    return weights_ ? weights_->rows_of(x, scratch) : x;
  }

  ProductFacts facts() const override {
    ProductFacts facts;
    for (const auto& [name, use] : kernels_) {
      if (use.flop > 0) facts.kernels.push_back(use);  // others were looked at, for packed weights
    }
    if (!weights_) return facts;
    const std::int64_t places = dense_factor_.bytes + dense_result_.bytes;
    facts.packing_s = weights_->packing_s();
    facts.packed_bytes = weights_->packed_bytes() + places;
    facts.added_bytes = facts.packed_bytes - weights_->bytes_let_go();
    return facts;
  }

 private:
  void multiply_one(const Factor& a, const Factor& b, const MatrixView& c, Store store) {
    if (c.elements() == 0) return;
    if (weights_ && weights_->has(b.matrix)) {
      if (multiply_packed(a, b, c, store)) return;
      weights_->keep_rows(b.matrix);
    }
    Product& product = product_for({c.dtype, c.rows, c.columns, a.columns(), stride_of(a.matrix),
                                    stride_of(b.matrix), stride_of(c), a.transposed, b.transposed, store,
                                    /*packs=*/false});
    product.operands.at(DNNL_ARG_WEIGHTS).set_data_handle(b.matrix.data);
    execute(product, a.matrix, c);
  }

  // False, and nothing is done, where the library's kernel wants this weight as it lies. Kernels for packed
  // weights read and write no rows with gaps in between.
  bool multiply_packed(const Factor& a, const Factor& b, const MatrixView& c, Store store) {
    const bool copies_c = has_gaps(c) && store == Store::overwrite;
    Product& product =
        product_for({c.dtype, c.rows, c.columns, a.columns(), a.matrix.columns, stride_of(b.matrix),
                     copies_c ? c.columns : stride_of(c), a.transposed, b.transposed, store, /*packs=*/true});
    if (!product.packs) return false;
    product.operands.at(DNNL_ARG_WEIGHTS) = weights_->packed(
        b, desc_of(b.matrix.dtype, b.rows(), b.columns(), b.matrix.row_stride, b.transposed), product.b);
    const MatrixView from = has_gaps(a.matrix) ? dense_place(dense_factor_, a.matrix) : a.matrix;
    const MatrixView to = copies_c ? dense_place(dense_result_, c) : c;
    if (has_gaps(a.matrix)) copy_rows(a.matrix, from);
    execute(product, from, to);
    if (copies_c) copy_rows(to, c);
    return true;
  }

  // Its weights have been named.
  void execute(Product& product, const MatrixView& a, const MatrixView& c) {
    product.operands.at(DNNL_ARG_SRC).set_data_handle(a.data);
    product.operands.at(DNNL_ARG_DST).set_data_handle(c.data);
    product.primitive.execute(stream_, product.operands);
    stream_.wait();
    product.kernel->flop += product.flop;
  }

  // That of a single row means nothing.
  static std::int64_t stride_of(const MatrixView& x) { return x.rows == 1 ? x.columns : x.row_stride; }

  static bool has_gaps(const MatrixView& x) { return x.rows > 1 && x.row_stride != x.columns; }

  // Memory for the largest matrix that wanted it so far.
  struct Place {
    Allocation allocation;
    std::int64_t bytes = 0;
  };
  MatrixView dense_place(Place& place, const MatrixView& like) {
    const std::int64_t bytes = like.elements() * size_of(like.dtype);
    if (bytes > place.bytes) {
      place.allocation = {};
      place.allocation = memory_->allocate(Category::workspace, bytes);
      place.bytes = bytes;
    }
    return {place.allocation.data(), like.dtype, like.rows, like.columns, like.columns};
  }

  static void copy_rows(const MatrixView& from, const MatrixView& to) {
    const auto bytes = static_cast<std::size_t>(from.columns * size_of(from.dtype));
#pragma omp parallel for
    for (std::int64_t row = 0; row < from.rows; ++row) std::memcpy(to.row(row), from.row(row), bytes);
  }

  Product& product_for(const Geometry& geometry) {
    const auto found = products_.find(geometry);
    if (found != products_.end()) return found->second;
    const dnnl::matmul::primitive_desc description = describe_product(geometry);
    const std::string name = description.impl_info_str();
    KernelUse& use = kernels_[name];
    use.name = name;
    use.emulates = is_narrow(geometry.dtype) && (!has_bf16_instructions() || name.starts_with("ref"));
    if (use.emulates) use.capped_by = cap_below(dnnl::cpu_isa::avx512_core_bf16);
    Product product{dnnl::matmul(description),
                    description.weights_desc(),
                    description.weights_desc() != desc_of_b(geometry),
                    {},
                    &use,
                    2.0 * static_cast<double>(geometry.m) * static_cast<double>(geometry.n) *
                        static_cast<double>(geometry.k)};
    product.operands.emplace(DNNL_ARG_SRC, dnnl::memory(description.src_desc(), engine(), nullptr));
    product.operands.emplace(DNNL_ARG_WEIGHTS, dnnl::memory(description.weights_desc(), engine(), nullptr));
    product.operands.emplace(DNNL_ARG_DST, dnnl::memory(description.dst_desc(), engine(), nullptr));
    return products_.emplace(geometry, std::move(product)).first->second;
  }

  int threads_;
  dnnl::stream stream_{engine()};
  TrackedMemory* memory_;  // that weights are packed in, or null
  std::optional<PackedWeights> weights_;
  std::map<Geometry, Product> products_;
  std::map<std::string, KernelUse> kernels_;  // products point into it
  Place dense_factor_, dense_result_;
};

Json variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? Json(nullptr) : Json(value);
}

std::string version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace

std::unique_ptr<Products> make_products(const ProductNeeds& needs) {
  return std::make_unique<OnednnProducts>(needs);
}

std::optional<std::string> why_not(DType dtype) {
  constexpr std::int64_t kSize = 64;
  const auto refuse = [&](const std::string& why) {
    return fmt::format("library onednn ({}) does not multiply matrices in {}{}", version(), name_of(dtype),
                       why);
  };
  if (!type_of(dtype)) return refuse("");
  try {
    describe_product(
        {dtype, kSize, kSize, kSize, kSize, kSize, kSize, false, false, Store::overwrite, false});
    return std::nullopt;
  } catch (const dnnl::error&) {
    // said below
  }
  // oneDNN 2 has no such kernels, whatever the CPU.
  if (dtype == DType::f16) return refuse(why_not(DType::bf16) ? "" : "; dtype bf16 runs");
  if (const auto cap = cap_below(dnnl::cpu_isa::avx512_core))
    return refuse(
        fmt::format(" with {}, which keeps it from instructions of this CPU; unset that variable", *cap));
  return refuse(fmt::format(" on this CPU ({})", name_of_isa()));
}

Json describe() {
  return {{"library", "oneDNN"},
          {"version", version()},
          {"cpu_isa", name_of_isa()},
          {"threading", "OpenMP"},
          {"max_threads", omp_get_num_procs()},
          {"wait_policy", variable("OMP_WAIT_POLICY")},
          {"spin_count", variable("GOMP_SPINCOUNT")},
          {"binding", variable("OMP_PROC_BIND")},
          {"cpu_affinity", variable("GOMP_CPU_AFFINITY")},
          {"thread_limit", variable("OMP_THREAD_LIMIT")}};
}

}  // namespace tpbench::onednn
