#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.hpp"
#include "compute/token_ids.hpp"
#include "compute/visible.hpp"
#include "tensor/fill.hpp"
#include "tensor/matrix.hpp"
#include "workload/shape.hpp"

namespace tpbench {

class DeviceClock;
class DeviceSide;

/// A factor of a product: a matrix as it lies, or read as its transpose; of several products at once the
/// first, with the elements from one to the next.
struct Factor {
  MatrixView matrix;
  bool transposed = false;
  std::int64_t stride = 0;

  Factor(const MatrixView& as_it_lies) : matrix(as_it_lies) {}                     // NOLINT: every matrix
  Factor(const MatrixStack& stack) : matrix(stack.first), stride(stack.stride) {}  // NOLINT: is a factor
  Factor(const MatrixView& lying, bool is_transposed) : matrix(lying), transposed(is_transposed) {}
  [[nodiscard]] std::int64_t rows() const { return transposed ? matrix.columns : matrix.rows; }
  [[nodiscard]] std::int64_t columns() const { return transposed ? matrix.rows : matrix.columns; }
  /// That of the i-th product alone.
  [[nodiscard]] Factor at(std::int64_t i) const {
    return {MatrixStack(matrix, i + 1, stride).at(i), transposed};
  }
};
inline Factor transposed(const MatrixStack& stack) {
  Factor factor = stack;
  factor.transposed = true;
  return factor;
}

/// What a product does to the matrix that it goes to.
enum class Store { overwrite, add };

/// What one kernel of a library has done.
struct KernelUse {
  std::string name;  ///< as the library calls it: "brg:avx512_core_bf16"
  double flop = 0;
  bool emulates = false;  ///< without instructions for products of the type
  /// "ONEDNN_MAX_CPU_ISA=AVX2": the variable that keeps the library from them; empty: the CPU has none.
  std::optional<std::string> capped_by = {};
};

/// What multiplied, for the record.
struct ProductFacts {
  std::vector<KernelUse> kernels;
  double packing_s = 0;
  std::int64_t packed_bytes = 0;
  std::int64_t added_bytes = 0;  ///< beyond the weights in rows, which packed ones take the place of
};

/// Where tensors live and compute runs. One per case and rank; all calls come from the rank's main thread and
/// have finished their work, or queued it in order, when they return. Failures throw CaseError.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Compute threads that this backend really uses on this rank.
  [[nodiscard]] virtual int threads() const = 0;
  /// The memory from which this backend's tensors come.
  virtual TrackedMemory& memory() = 0;
  /// A contiguous matrix of undefined content.
  Matrix make_matrix(Category category, DType dtype, std::int64_t rows, std::int64_t columns) {
    return {memory().allocate(category, rows * columns * size_of(dtype)), dtype, rows, columns};
  }

  /// C [m, n] = A [m, k] B [k, n]; for a stack of C, each from its own A and B
  void gemm(const Factor& a, const Factor& b, const MatrixStack& c) { multiply(a, b, c, Store::overwrite); }
  /// C [m, n] += A [m, k] B [k, n]
  void gemm_add(const Factor& a, const Factor& b, const MatrixStack& c) { multiply(a, b, c, Store::add); }
  virtual void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) = 0;
  /// Of the products so far; empty where nothing tells.
  [[nodiscard]] virtual ProductFacts product_facts() const { return {}; }

  /// y = gelu(x), tanh form (arXiv 1606.08415); y may be x
  virtual void gelu(const MatrixView& x, const MatrixView& y) = 0;
  /// y = silu(x[:, :f]) * x[:, f:], x [rows, 2f] (arXiv 2002.05202); y may be x[:, :f]
  virtual void swiglu(const MatrixView& x, const MatrixView& y) = 0;
  /// dx = gelu'(x) dy; dx may be dy
  virtual void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) = 0;
  /// dx [rows, 2f] from x [rows, 2f] and dy [rows, f]; dy may be dx[:, :f]
  virtual void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) = 0;

  /// Rows of x, normed, scaled by parameters[0] and, for a layer norm, shifted by parameters[1]; y is not x
  virtual void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) = 0;
  /// dx += the gradient of x; dparameters = that of the parameters, summed over the rows
  virtual void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters,
                             const MatrixView& dy, const MatrixView& dx, const MatrixView& dparameters) = 0;

  /// Each row of x becomes the softmax of scale x over the entries that it sees, and 0 behind.
  virtual void softmax(const MatrixView& x, const Visible& visible, double scale) = 0;
  /// dp = scale p (dp - sum over the row of p dp)
  virtual void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) = 0;

  /// Row r of y [ids.count, h] is the row of `table` that token r's id has there, or 0 where it has none.
  virtual void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) = 0;
  /// Row i of dtable is the sum of the rows of dy [ids.count, h] whose tokens have it, or that much more.
  virtual void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                                Store store) = 0;

  /// Cross-entropy of rows of logits of which each rank holds some columns (arXiv 1909.08053, section 3).
  /// What there is one of for each row stands in a row [1, ids.count] of f64 where x is, and of f32 else.
  /// maxima = the largest held entry of each row of x; kLeastLogit where none is held
  virtual void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) = 0;
  /// x = exp(x - maxima), and 0 behind the held columns; sums = those of its rows; targets = x - maxima, as x
  /// was, at the id of the row's own token, or 0 where that is not held
  virtual void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                            const MatrixView& sums, const MatrixView& targets) = 0;
  /// loss = log(sums) - targets
  virtual void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) = 0;
  /// x, as `exponentials` has left it, becomes the gradient of the losses: x / sums, less 1 at the row's own
  /// id
  virtual void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) = 0;

  /// to = from, the same shape, any strides
  virtual void copy(const MatrixView& from, const MatrixView& to) = 0;
  /// sum = a + b, the same shape; sum may be a or b
  virtual void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) = 0;
  virtual void set_zero(const MatrixView& x) = 0;

  /// Fills the part of a tensor that starts at (row, column) of the whole; see TensorKey.
  virtual void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) = 0;
  /// Overwrites every entry with NaN.
  virtual void poison(const MatrixView& x) = 0;
  /// The same entries where the host can read them: x itself, or a copy in `scratch`, as of packed weights,
  /// whose rows are not kept.
  virtual MatrixView host_view(const MatrixView& x, std::vector<std::byte>& scratch) = 0;
  /// Runs `body(first, last)` over pieces of [0, count) on this rank's compute threads, for host work around
  /// a case.
  virtual void parallel_for(std::int64_t count,
                            const std::function<void(std::int64_t, std::int64_t)>& body) = 0;
  /// Removes all tensors of this backend from the caches. Returns false where that cannot be done.
  virtual bool flush_caches() = 0;

  /// Where tensors lie when that is not host memory, and the clock of the work that is queued there; null on
  /// the host.
  virtual DeviceSide* device() { return nullptr; }
  virtual DeviceClock* device_clock() { return nullptr; }
};

/// The device that a rank of a backend computes on.
struct DeviceInfo {
  std::string id;           ///< the same on all ranks that share the device, of one host or several
  std::string description;  ///< a JSON object, {"name": ..., "pci_bus_id": ..., ...}, for environment.json
};

/// What a device is like at a moment: for the record, to tell a throttled run from a good one.
struct DeviceState {
  std::int64_t sm_clock_mhz = 0;
  std::int64_t memory_clock_mhz = 0;
  std::int64_t temperature_c = 0;
  std::uint64_t throttle_reasons = 0;  ///< bits of NVML's nvmlClocksEventReasons
};

/// What a case wants of its backend.
struct BackendNeeds {
  std::string backend = "cpu";
  std::string library = "openblas";  ///< on the host: who multiplies
  bool packs_weights = false;        ///< by the library, once
  bool huge_pages = false;           ///< asked for, of tensors on the host
  int threads = 1;
};

/// One row of the table of backends.
struct BackendEntry {
  std::string_view name;
  /// What its tensors can be. On the host it is the library that says what is multiplied (products.hpp).
  std::span<const DType> dtypes;
  /// Tensors lie in memory of a device.
  bool on_device;
  /// Bytes that its library works in, beside the tensors of a case.
  std::int64_t workspace_bytes;
  /// Bytes of attention scores that it has in work at one time; 0: a tile of one head.
  std::int64_t scores_bytes;
  /// The key of environment.json under which `describe` stands.
  std::string_view described_as;
  /// Makes this process ready, once, before anything else of the row is called but for `describe`;
  /// `local_rank` numbers the ranks of this host and chooses the device. Throws EnvironmentError that names
  /// what is missing.
  void (*open)(int local_rank);
  std::unique_ptr<Backend> (*make)(const BackendNeeds& needs);
  /// Libraries with versions, devices, or what is missing for it: for environment.json and `tpbench info`.
  Json (*describe)();
  /// The device that `open` took; empty where the backend computes on the host.
  std::optional<DeviceInfo> (*device)();
  /// Empty where there is no device, or nothing that tells.
  std::optional<DeviceState> (*device_state)();
};

std::span<const BackendEntry> all_backends();
const BackendEntry* find_backend(std::string_view name);
std::vector<std::string> backend_names();
/// The backend that computes on the host: on every rank, whatever the cases compute on.
std::string host_backend();
/// What these say of themselves, by `described_as`.
std::map<std::string, Json> describe_backends(const std::set<std::string>& names);

}  // namespace tpbench
