#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "advisor/fabric.hpp"
#include "advisor/fit.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "report/prediction.hpp"
#include "result/atomic_file.hpp"

namespace tpbench {
namespace {

// Where the ranks of the measured cases were, as far as they were on several hosts.
std::int64_t measured_ranks_per_host(const Evidence& evidence) {
  std::int64_t most = 0;
  for (const MeasuredCase& measured : evidence.cases) most = std::max(most, measured.ranks_per_host());
  return most;
}

// A network that no predicted case uses would change nothing, and nobody would see it.
void check_networks_are_used(const PredictLine& line, const Prediction& prediction) {
  const Fabric& fabric = prediction.machine.fabric;
  const auto uses = [&](Reach reach) {
    return std::any_of(prediction.rows.begin(), prediction.rows.end(), [&](const AnswerRow& row) {
      return row.predicted && uses_reach(row.point, prediction.machine, reach);
    });
  };
  const bool has_rows = std::any_of(prediction.rows.begin(), prediction.rows.end(),
                                    [](const AnswerRow& row) { return row.predicted.has_value(); });
  if (!has_rows) return;
  const std::string typed = fmt::format("--fabric {}", fmt::join(line.fabrics, " --fabric "));
  if (fabric.between && !uses(Reach::between_hosts))
    throw UsageError({Fault{typed, "", "",
                            "is a network between hosts, and no predicted case crosses hosts: "
                            "--ranks-per-host K says how many ranks share one, inside:... means inside"}});
  if (fabric.inside && !uses(Reach::inside_host))
    throw UsageError(
        {Fault{typed, "", "", "is a network inside hosts, and no predicted case has two ranks on one"}});
}

void check_is_no_folder(const std::string& file) {
  if (std::filesystem::is_directory(file))
    throw UsageError({Fault{"--save-calibration " + file, "", "", "is a folder; name a file"}});
}

}  // namespace

ExitStatus predict_command(const CommandLine& line, const Launch& launch) {
  if (launch.rank.value_or(0) != 0) return ExitStatus::ok;
  const PredictLine& asked = line.predict;
  if (!asked.save_calibration.empty()) check_is_no_folder(asked.save_calibration);
  Prediction prediction;
  const bool is_alone =
      asked.calibration.empty() && asked.measured.size() == 1 && is_calibration(asked.measured[0]);
  const bool is_given = is_alone || !asked.calibration.empty();
  const Evidence evidence = is_alone ? Evidence() : read_evidence(asked.measured);
  prediction.calibration = is_alone   ? read_calibration(asked.measured[0])
                           : is_given ? read_calibration(asked.calibration)
                                      : fit_calibration(evidence);
  prediction.machine.ranks_per_host = asked.ranks_per_host.value_or(measured_ranks_per_host(evidence));
  for (const std::string& fabric : asked.fabrics) set_fabric(prediction.machine.fabric, fabric);
  if (!asked.save_calibration.empty())
    write_file_atomically(asked.save_calibration, calibration_to_json(prediction.calibration).dump(1) + '\n');
  if (asked.check) {
    std::vector<const MeasuredCase*> cases;
    for (const MeasuredCase& measured : evidence.cases) cases.push_back(&measured);
    prediction.checked = is_given ? check_cases(prediction.calibration, cases)
                                  : check_shapes(evidence, prediction.calibration.spread);
    prediction.checked_with = is_given ? "the calibration" : "a fit without their shape";
  } else {
    const bool is_other_machine =
        !asked.fabrics.empty() ||
        (asked.ranks_per_host && *asked.ranks_per_host != measured_ranks_per_host(evidence));
    prediction.rows = answer(prediction.calibration, evidence.cases,
                             {asked.degrees, asked.shapes, prediction.machine, is_other_machine});
    check_networks_are_used(asked, prediction);
  }
  print_results(render_prediction(asked.format, prediction), "");
  return ExitStatus::ok;
}

}  // namespace tpbench
