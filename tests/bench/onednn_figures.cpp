// Prints what library onednn brings, each pair in turns in one launch, medians.
//   onednn_figures [rounds]              on one rank: the gemm workload against a plain oneDNN loop of the
//   same
//                                        shape; and what a bf16 block spends outside of its products
//   mpirun -n 2 onednn_figures [rounds]  an all-reduce by shm of as many elements in bf16 and in f32
#include <fmt/format.h>
#include <omp.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "base/units.hpp"
#include "bench/case_cost.hpp"
#include "bench/case_machine.hpp"
#include "bench/sampling.hpp"
#include "comm/shm_communicator.hpp"
#include "compute/forwarding_backend.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

using Dims = dnnl::memory::dims;

// What a person would write first: one primitive, its operands, a loop.
class PlainLoop {
 public:
  PlainLoop(std::int64_t tokens, std::int64_t h, DType dtype, bool packed) {
    const auto type = dtype == DType::f32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
    const dnnl::memory::desc x({tokens, h}, type, Dims{h, 1}), y({tokens, h}, type, Dims{h, 1}),
        w({h, h}, type, Dims{h, 1});
    const dnnl::memory::desc any({h, h}, type, dnnl::memory::format_tag::any);
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(x, packed ? any : w, y), engine_);
    product_ = dnnl::matmul(description);
    add(DNNL_ARG_SRC, x, dtype);
    add(DNNL_ARG_WEIGHTS, description.weights_desc(), dtype);
    add(DNNL_ARG_DST, y, dtype);
  }
  void run(std::size_t steps, std::vector<double>& seconds) {
    for (std::size_t i = 0; i < steps; ++i) {
      const double start = now_s();
      product_.execute(stream_, operands_);
      stream_.wait();
      seconds.push_back(now_s() - start);
    }
  }

 private:
  void add(int argument, const dnnl::memory::desc& desc, DType dtype) {
    memory_.push_back(take_host_pages(static_cast<std::int64_t>(desc.get_size())));
    const std::int64_t elements = static_cast<std::int64_t>(desc.get_size()) / size_of(dtype);
    const MatrixView row{memory_.back().get(), dtype, 1, elements, elements};
    fill_rows(row, {.seed = 1, .tensor = static_cast<std::uint32_t>(argument), .scale = 0.1}, 0, 0, 0, 1);
    operands_.emplace(argument, dnnl::memory(desc, engine_, memory_.back().get()));
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul product_;
  std::vector<std::shared_ptr<void>> memory_;
  std::unordered_map<int, dnnl::memory> operands_;
};

Case onednn_case(const char* workload, std::int64_t tokens, std::int64_t h, DType dtype, bool packed) {
  Case point;
  point.workload = workload;
  point.library = "onednn";
  point.weight_layout = packed ? WeightLayout::packed : WeightLayout::plain;
  point.dtype = dtype;
  point.hidden_size = h;
  point.sequence_length = tokens;
  point.threads_per_rank = 1;
  normalise_case(point);
  return point;
}

void compare_gemm(Session& session, std::int64_t tokens, std::int64_t h, DType dtype, bool packed,
                  std::size_t rounds) {
  const Team team = whole_world(session);
  const Parts parts = built_in_parts();
  const Case point = onednn_case("gemm", tokens, h, dtype, packed);
  CaseMachine machine(point, team, parts, session.heartbeat());
  machine.make_layer();
  machine.stop_asking();
  machine.layer().fill(session.heartbeat());
  const StepRunner runner{[&](Trace& trace) { run_step(machine.layer(), machine.shape(), trace); }, {}};
  Trace trace(session.heartbeat());
  const double sample_s = warm_up(runner, 3, 60, team, trace).sample_s;

  const std::size_t turn = sample_s > 0.02 ? 3 : 20;
  PlainLoop plain(tokens, h, dtype, packed);
  std::vector<double> plain_s, discarded, tool_s;
  plain.run(3, discarded);
  for (std::size_t round = 0; round < rounds; ++round) {
    plain.run(turn, plain_s);
    const Samples samples = sample(runner, {turn, turn, 3600, 0.02}, sample_s, team, trace);
    tool_s.insert(tool_s.end(), samples.compute_s.begin(), samples.compute_s.end());
  }
  const double ours = summarise(tool_s).median, theirs = summarise(plain_s).median;
  const double flop = 2.0 * static_cast<double>(tokens) * static_cast<double>(h) * static_cast<double>(h);
  fmt::print(
      "  {} {:<6} h {:>5}  T {:>5}   tpbench {:>10} ({:>4.0f} GFLOP/s)   plain loop {:>10}   ratio {:.4f}\n",
      name_of(dtype), packed ? "packed" : "plain", h, tokens, format_seconds(ours), flop / ours / 1e9,
      format_seconds(theirs), ours / theirs);
  std::fflush(stdout);
}

// Adds up the time of each kind of operation.
class TimedBackend final : public ForwardingBackend {
 public:
  TimedBackend(std::unique_ptr<Backend> inner, std::map<std::string, double>& seconds)
      : ForwardingBackend(std::move(inner)), seconds_(seconds) {}

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    timed(c.first.columns < 1024 ? "products of attention" : "products with weights",
          [&] { ForwardingBackend::multiply(a, b, c, store); });
  }
  void gelu(const MatrixView& x, const MatrixView& y) override {
    timed("activation", [&] { ForwardingBackend::gelu(x, y); });
  }
  void swiglu(const MatrixView& x, const MatrixView& y) override {
    timed("activation", [&] { ForwardingBackend::swiglu(x, y); });
  }
  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    timed("norms", [&] { ForwardingBackend::norm(kind, x, parameters, y); });
  }
  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    timed("softmax", [&] { ForwardingBackend::softmax(x, visible, scale); });
  }
  void copy(const MatrixView& from, const MatrixView& to) override {
    timed("copies", [&] { ForwardingBackend::copy(from, to); });
  }
  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    timed("residuals", [&] { ForwardingBackend::add(a, b, sum); });
  }

 private:
  template <typename Work>
  void timed(const char* name, const Work& work) {
    const Stopwatch stopwatch;
    work();
    seconds_[name] += stopwatch.elapsed_s();
  }

  std::map<std::string, double>& seconds_;
};

void split_block(Session& session, DType dtype, Activation activation, bool packed, std::size_t rounds) {
  const Team team = whole_world(session);
  std::map<std::string, double> seconds;
  Parts parts = built_in_parts();
  parts.make_backend = [&, inner = parts.make_backend](const BackendNeeds& needs) {
    return std::make_unique<TimedBackend>(inner(needs), seconds);
  };
  Case point = onednn_case("block", 512, 4096, dtype, packed);
  point.activation = activation;
  point.norm = activation == Activation::swiglu ? Norm::rms_norm : Norm::layer_norm;
  CaseMachine machine(point, team, parts, session.heartbeat());
  machine.make_layer();
  machine.stop_asking();
  machine.layer().fill(session.heartbeat());
  Trace trace(session.heartbeat());
  const StepRunner runner{[&](Trace& steps) { run_step(machine.layer(), machine.shape(), steps); }, {}};
  warm_up(runner, 2, 60, team, trace);
  seconds.clear();
  double step_s = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    const Stopwatch stopwatch;
    trace.begin_step();
    run_step(machine.layer(), machine.shape(), trace);
    trace.end_step();
    step_s += stopwatch.elapsed_s();
  }
  const double products_s = seconds["products with weights"] + seconds["products of attention"];
  const double flop = cost_of(point).flop() * static_cast<double>(rounds);
  fmt::print("  block {} {} {}, h 4096, T 512: {:.0f} GFLOP/s, its products alone {:.0f}: {:.1f} %\n",
             name_of(dtype), packed ? "packed" : "plain", name_of(activation), flop / step_s / 1e9,
             flop / products_s / 1e9, 100 * products_s / step_s);
  for (const auto& [name, spent] : seconds) fmt::print("    {:<24}{:>6.1f} %\n", name, 100 * spent / step_s);
  std::fflush(stdout);
}

void compare_sums(Session& session, std::int64_t elements, std::size_t rounds) {
  const Team team = whole_world(session);
  const auto communicator = make_shm_communicator(*team.group);
  TrackedMemory memory;
  std::map<DType, std::vector<double>> seconds;
  std::map<DType, Matrix> arrays;
  const DType kTypes[] = {DType::f32, DType::bf16, DType::f16};
  for (const DType dtype : kTypes) {
    arrays[dtype] = communicator->make_matrix(memory, Category::communication, dtype, 1, elements);
    std::memset(arrays[dtype].view().data, 0,
                static_cast<std::size_t>(elements * size_of(dtype)));  // sums stay small
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const DType dtype : kTypes) {
      constexpr int kTurn = 20;
      const MatrixView& array = arrays[dtype].view();
      communicator->all_reduce_sum(array.data, elements, dtype);
      team.active->barrier();
      const Stopwatch stopwatch;
      for (int i = 0; i < kTurn; ++i) communicator->all_reduce_sum(array.data, elements, dtype);
      seconds[dtype].push_back(team.active->max(stopwatch.elapsed_s() / kTurn));
    }
  }
  if (session.world().rank() != 0) return;
  const auto median = [&](DType dtype) { return summarise(seconds[dtype]).median; };
  fmt::print(
      "  {:>8} elements ({:>9} in f32): f32 {:>9}, bf16 {:>9} ({:.2f} times as fast), f16 {:>9} ({:.2f})\n",
      elements, format_bytes(static_cast<double>(4 * elements)), format_seconds(median(DType::f32)),
      format_seconds(median(DType::bf16)), median(DType::f32) / median(DType::bf16),
      format_seconds(median(DType::f16)), median(DType::f32) / median(DType::f16));
  std::fflush(stdout);
}

}  // namespace
}  // namespace tpbench

int main(int argc, char** argv) {
  using namespace tpbench;
  const std::size_t rounds = argc > 1 ? static_cast<std::size_t>(std::atoi(argv[1])) : 8;
  Session session(std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr);
  if (session.world().size() > 1) {
    if (session.world().rank() == 0)
      fmt::print(
          "all-reduce by shm on {} ranks, bf16 against f32 of as many elements (target: 1.4 at 64 KiB, 1.6 "
          "from 1 to "
          "16 MiB)\n",
          session.world().size());
    for (const std::int64_t kib : {16, 64, 256, 1024, 4096, 16384})
      compare_sums(session, kib * 256, 5 * rounds);
    return 0;
  }
  omp_set_num_threads(1);
  fmt::print("gemm workload against a plain oneDNN loop, one rank, one thread (target: within 3 %)\n");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const bool packed : {false, true}) {
      for (const std::int64_t h : {1024, 4096}) {
        for (const std::int64_t tokens : {1, 64, 512, 2048})
          compare_gemm(session, tokens, h, dtype, packed, rounds);
      }
    }
  }
  fmt::print("block against its own products (target: at least 80 %)\n");
  for (const bool packed : {false, true}) {
    for (const Activation activation : {Activation::gelu, Activation::swiglu})
      split_block(session, DType::bf16, activation, packed, 3);
  }
  return 0;
}
