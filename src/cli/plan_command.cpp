#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "advisor/fabric.hpp"
#include "advisor/fit.hpp"
#include "advisor/next_sweep.hpp"
#include "advisor/plan_model.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/plan_options.hpp"
#include "report/model_plan.hpp"
#include "result/atomic_file.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

Fault fault_of(const std::string& option, const std::string& rule) { return {option, "", "", rule}; }

Model model_named(const std::string& name) {
  if (is_model_file(name)) {
    Model model = load_model_file(name).model;
    model.name = name;
    return model;
  }
  if (const Model* model = find_model(name)) return *model;
  std::vector<std::string> names;
  for (const Model& model : all_models()) names.push_back(model.name);
  throw UsageError({fault_of("--model " + name,
                             fmt::format("is not a preset{}, and no file that ends in .json; tpbench models "
                                         "lists the presets",
                                         did_you_mean(name, names)))});
}

template <typename T>
std::string word_of(const T& value) {
  if constexpr (std::is_enum_v<T>)
    return std::string(name_of(value));
  else
    return value;
}

// The only value among `fits`, or the one that was asked for.
template <typename T, typename Of>
T only_one(const std::vector<const ComputeFit*>& fits, const std::optional<T>& asked, const char* option,
           const Of& of) {
  if (asked) return *asked;
  std::set<T> values;
  for (const ComputeFit* fit : fits) values.insert(of(*fit));
  if (values.size() == 1) return *values.begin();
  std::vector<std::string> names;
  for (const T& value : values) names.push_back(word_of(value));
  if (names.empty()) throw AdvisorError("nothing was measured that computes: measure workload block");
  throw UsageError({fault_of(option, fmt::format("is needed: measured were {}", join_words(names)))});
}

// A layer comes again when all others have been through the caches: cold ones tell more where they were
// measured.
CacheState cache_of(const Calibration& calibration, const PlanMachine& machine) {
  for (const ComputeFit& fit : calibration.compute) {
    if (fit.backend == machine.backend && fit.library == machine.library && fit.dtype == machine.dtype &&
        fit.cache == CacheState::cold)
      return CacheState::cold;
  }
  return CacheState::warm;
}

// Those that the kernel gives by itself, where both were measured.
Pages pages_of(const Calibration& calibration, const PlanMachine& machine) {
  Pages pages = Pages::system;
  for (const ComputeFit& fit : calibration.compute) {
    if (fit.backend != machine.backend || fit.library != machine.library || fit.dtype != machine.dtype ||
        fit.cache != machine.cache)
      continue;
    if (fit.pages == Pages::system) return fit.pages;
    pages = fit.pages;
  }
  return pages;
}

std::string algorithm_of(const Calibration& calibration, const std::string& asked) {
  std::set<std::string> measured;
  for (const CollectiveRate& rate : calibration.collectives) measured.insert(rate.algorithm);
  if (asked.empty()) return measured.size() == 1 ? *measured.begin() : "mpi";
  if (!measured.empty() && !measured.contains(asked))
    throw UsageError({fault_of("--algorithm " + asked, fmt::format("was not measured; measured {} {}",
                                                                   measured.size() == 1 ? "was" : "were",
                                                                   fmt::join(measured, ", ")))});
  return asked;
}

// The most ranks that a host had when several were measured; 0, all on one, where none were.
std::int64_t ranks_per_host_of(const Calibration& calibration) {
  const auto is_between = [](const auto& rate) { return rate.reach == Reach::between_hosts; };
  if (std::none_of(calibration.collectives.begin(), calibration.collectives.end(), is_between) &&
      std::none_of(calibration.boundaries.begin(), calibration.boundaries.end(), is_between))
    return 0;
  std::int64_t most = 0;
  for (const CalibrationSource& source : calibration.sources) most = std::max(most, source.ranks_per_host);
  return most;
}

// A network that no split can use would change nothing, and nobody would see it.
void check_networks_are_used(const PlanLine& line, const PredictedMachine& machine) {
  const std::int64_t per_host = machine.ranks_per_host;
  const std::string typed = fmt::format("--fabric {}", fmt::join(line.fabrics, " --fabric "));
  if (machine.fabric.between && (per_host == 0 || per_host >= line.ranks))
    throw UsageError(
        {fault_of(typed,
                  "is a network between hosts, and all ranks are on one: --ranks-per-host K says "
                  "how many are, inside:... means inside")});
  if (machine.fabric.inside && per_host == 1)
    throw UsageError({fault_of(typed, "is a network inside hosts, and no two ranks are on one")});
}

// Each choice leaves the rates that it goes with; what is left when only one is, needs no words.
void set_rates(PlanMachine& machine, const PlanLine& line, const Calibration& calibration) {
  const auto asked = [](const std::string& word) {
    return word.empty() ? std::nullopt : std::optional(word);
  };
  std::vector<const ComputeFit*> fits;
  for (const ComputeFit& fit : calibration.compute) fits.push_back(&fit);
  const auto settle = [&](auto& value, const auto& wanted, const char* option, auto ComputeFit::*member) {
    value = only_one(fits, wanted, option, [&](const ComputeFit& fit) { return fit.*member; });
    std::erase_if(fits, [&](const ComputeFit* fit) { return (*fit).*member != value; });
    if (fits.empty() && !calibration.compute.empty())
      throw UsageError({fault_of(fmt::format("{} {}", option, word_of(value)),
                                 "was not measured on what else is asked for")});
  };
  settle(machine.backend, asked(line.backend), "--backend", &ComputeFit::backend);
  settle(machine.dtype, line.dtype, "--dtype", &ComputeFit::dtype);
  settle(machine.library, asked(line.library), "--library", &ComputeFit::library);
}

PlanQuestion question_of(const PlanLine& line, const Calibration& calibration) {
  PlanQuestion question;
  ModelTask& task = question.task;
  task.model = model_named(line.model);
  task.trains = line.trains;
  task.batch_size = line.batch_size.value_or(1);
  task.sequence_length = line.sequence_length.value_or(2048);
  task.context_length = line.context_length.value_or(task.sequence_length);
  PlanMachine& machine = question.machine;
  set_rates(machine, line, calibration);
  task.dtype = machine.dtype;
  machine.algorithm = algorithm_of(calibration, line.algorithm);
  machine.threads_per_rank = line.threads_per_rank;
  machine.cache = cache_of(calibration, machine);
  machine.pages = pages_of(calibration, machine);
  machine.machine.ranks_per_host = line.ranks_per_host.value_or(ranks_per_host_of(calibration));
  for (const std::string& fabric : line.fabrics) set_fabric(machine.machine.fabric, fabric);
  check_networks_are_used(line, machine.machine);
  question.ranks = line.ranks;
  question.memory_per_rank = line.memory_per_rank;
  question.goal = line.goal.value_or(Goal::latency);
  question.sequence_parallel = line.sequence_parallel;
  question.recompute = line.recompute.value_or(Recompute::selective);
  return question;
}

void write_next_sweep(const PlanLine& line, const ModelPlan& plan) {
  if (std::filesystem::is_directory(line.next_sweep))
    throw UsageError({fault_of("--write-sweep " + line.next_sweep, "is a folder; name a file")});
  // A sweep looks for models from where it lies itself.
  const std::string model = is_model_file(line.model)
                                ? std::filesystem::absolute(line.model).lexically_normal().string()
                                : line.model;
  write_file_atomically(line.next_sweep, next_sweep(plan, model).dump(2) + '\n');
}

}  // namespace

ExitStatus plan_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  const Calibration calibration = calibrate(line.plan.measured);
  const ModelPlan plan = plan_model(calibration, question_of(line.plan, calibration));
  PlanReport report = {&plan, &calibration, ""};
  if (!line.plan.next_sweep.empty() && !plan.fitting.empty()) {
    write_next_sweep(line.plan, plan);
    report.next_sweep = line.plan.next_sweep;
  }
  print_results(render_model_plan(line.plan.format, report), "");
  return ExitStatus::ok;
}

}  // namespace tpbench
