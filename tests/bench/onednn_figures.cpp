// Prints what library onednn brings, each pair in turns in one launch, medians.
//   onednn_figures [rounds]              on one rank: the gemm workload against a plain oneDNN loop of the
//   same
//                                        shape; and what a bf16 block spends outside of its products
//   mpirun -n 2 onednn_figures [rounds]  an all-reduce by shm of as many elements in bf16 and in f32
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
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
  PlainLoop(const Case& point) : take_pages_(point.pages == Pages::huge ? take_huge_pages : take_host_pages) {
    const std::int64_t tokens = point.tokens(), h = point.hidden_size;
    const DType dtype = point.dtype;
    const bool packed = point.weight_layout == WeightLayout::packed;
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
    memory_.push_back(take_pages_(static_cast<std::int64_t>(desc.get_size())));
    const std::int64_t elements = static_cast<std::int64_t>(desc.get_size()) / size_of(dtype);
    const MatrixView row{memory_.back().get(), dtype, 1, elements, elements};
    fill_rows(row, {.seed = 1, .tensor = static_cast<std::uint32_t>(argument), .scale = 0.1}, 0, 0, 0, 1);
    operands_.emplace(argument, dnnl::memory(desc, engine_, memory_.back().get()));
  }

  TrackedMemory::Source take_pages_;
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

// The gemm workload, ready to be sampled.
class Tool {
 public:
  Tool(const Case& point, const Team& team, Session& session)
      : team_(team), machine_(point, team_, parts_, session.heartbeat()), trace_(session.heartbeat()) {
    machine_.make_layer();
    machine_.stop_asking();
    machine_.layer().fill(session.heartbeat());
    sample_s_ = warm_up(runner_, 3, 60, team_, trace_).sample_s;
  }
  [[nodiscard]] double sample_s() const { return sample_s_; }
  void run(std::size_t steps, std::vector<double>& seconds) {
    const Samples samples = sample(runner_, {steps, steps, 3600, 0.02}, sample_s_, team_, trace_);
    seconds.insert(seconds.end(), samples.compute_s.begin(), samples.compute_s.end());
  }

 private:
  const Team& team_;
  Parts parts_ = built_in_parts();
  CaseMachine machine_;
  StepRunner runner_{[this](Trace& trace) { machine_.layer().run_step(trace); }, {}};
  Trace trace_;
  double sample_s_ = 0;
};

// What a working set of about the last cache takes depends on the pages that it was given: so both sides get
// new ones several times, and each is first as often as the other.
void compare_gemm(Session& session, const Case& point, std::size_t rounds) {
  const Team team = whole_world(session);
  const std::size_t times = point.tokens() < 64 ? 8 : 2;
  std::vector<double> ratios, ours_s, theirs_s;
  std::unique_ptr<Tool> tool;
  std::unique_ptr<PlainLoop> plain;
  for (std::size_t i = 0; i < times; ++i) {
    // What was measured before keeps its pages until others are taken.
    const std::unique_ptr<Tool> last_tool = std::move(tool);
    const std::unique_ptr<PlainLoop> last_plain = std::move(plain);
    if (i % 2 == 0) tool = std::make_unique<Tool>(point, team, session);
    plain = std::make_unique<PlainLoop>(point);
    if (i % 2 == 1) tool = std::make_unique<Tool>(point, team, session);
    const std::size_t turn = tool->sample_s() > 0.02 ? 3 : 20;
    std::vector<double> plain_s, discarded, tool_s;
    plain->run(3, discarded);
    for (std::size_t round = 0; round < rounds; ++round) {
      plain->run(turn, plain_s);
      tool->run(turn, tool_s);
    }
    ours_s.push_back(summarise(tool_s).median);
    theirs_s.push_back(summarise(plain_s).median);
    ratios.push_back(ours_s.back() / theirs_s.back());
  }
  const double ours = summarise(ours_s).median, theirs = summarise(theirs_s).median;
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  fmt::print(
      "  {:<4} {:<6} {:<6} h {:>4}  T {:>4}   tpbench {:>9} ({:>4.0f} GFLOP/s)   plain loop {:>9}   ratio "
      "{:.3f} ({:.3f} to {:.3f})\n",
      name_of(point.dtype), name_of(*point.weight_layout), name_of(*point.pages), point.hidden_size,
      point.tokens(), format_seconds(ours), cost_of(point).flop() / ours / 1e9, format_seconds(theirs),
      summarise(ratios).median, *least, *most);
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
  const StepRunner runner{[&](Trace& steps) { machine.layer().run_step(steps); }, {}};
  warm_up(runner, 2, 60, team, trace);
  seconds.clear();
  double step_s = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    const Stopwatch stopwatch;
    trace.begin_step();
    machine.layer().run_step(trace);
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
  fmt::print(
      "gemm workload against a plain oneDNN loop, one rank, one thread (target: within 3 %); medians over "
      "new "
      "memory for each, and from the least to the largest ratio\n");
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const bool packed : {false, true}) {
      for (const std::int64_t h : {1024, 4096}) {
        for (const std::int64_t tokens : {1, 64, 512, 2048}) {
          Case point = onednn_case("gemm", tokens, h, dtype, packed);
          compare_gemm(session, point, rounds);
          point.pages = Pages::huge;
          if (tokens == 1) compare_gemm(session, point, rounds);
        }
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
