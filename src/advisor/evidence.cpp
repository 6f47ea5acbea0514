#include "advisor/evidence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/error.hpp"
#include "base/text.hpp"
#include "result/folder.hpp"
#include "result/read_text.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

std::string text_at(const Json& document, const char* pointer) {
  const Json::json_pointer place(pointer);
  if (!document.is_object() || !document.contains(place) || !document.at(place).is_string()) return "";
  return document.at(place).get<std::string>();
}

// "OpenBLAS 0.3.21 SkylakeX"
std::string compute_library_of(const Json& environment) {
  const std::string config = text_at(environment, "/blas/config");
  const std::vector<std::string> words = split(config, ' ');
  std::string text = words.size() > 1 ? words[0] + ' ' + words[1] : text_at(environment, "/blas/library");
  const std::string core = text_at(environment, "/blas/core");
  return core.empty() ? text : text + ' ' + core;
}

void describe_environment(const Json& environment, CalibrationSource& source) {
  const auto set = [](std::string& target, std::string text) {
    if (target.empty()) target = std::move(text);
  };
  set(source.cpu, text_at(environment, "/hosts/0/cpu_model"));
  set(source.compute_library, compute_library_of(environment));
  const Json::json_pointer cores("/hosts/0/cores");
  if (source.cores_per_host == 0 && environment.contains(cores) && environment.at(cores).is_number_integer())
    source.cores_per_host = environment.at(cores).get<std::int64_t>();
  const std::string mpi = text_at(environment, "/mpi/implementation");
  set(source.mpi, mpi.empty() ? "" : mpi + ' ' + text_at(environment, "/mpi/version"));
  const auto hosts = environment.find("hosts");
  if (!source.hosts.empty() || hosts == environment.end() || !hosts->is_array()) return;
  for (const Json& host : *hosts) source.hosts.push_back(text_at(host, "/name"));
}

// What computed a record: two that differ in it have different rates.
struct Machine {
  std::string key;  // of the environment, which differs
  std::string text;
};

std::vector<Machine> machine_of(const Json& environment, const std::string& backend) {
  if (backend != "cpu")
    return {
        {"/gpu", environment.contains("gpu") ? environment.at("gpu").value("devices", Json()).dump() : ""}};
  return {{"/hosts/0/cpu_model", text_at(environment, "/hosts/0/cpu_model")},
          {"/blas/core", text_at(environment, "/blas/core")}};
}

// Times of these cases are not those of the machine as it is meant.
constexpr std::string_view kUnusable[] = {
    "oversubscribed", "shared_core", "debug_build", "mixed_kernels",         "thread_mismatch",
    "throttled_cpu",  "throttled",   "shared_gpu",  "cold_cache_impossible", "mixed_launches"};

std::optional<LeftOut> why_unusable(const Record& record, const std::string& file) {
  if (record.status != Status::ok)
    return LeftOut{file, "/status",
                   fmt::format("{}{}", name_of(record.status), record.reason ? ": " + *record.reason : "")};
  if (!is_timed(record)) return LeftOut{file, "/time_s", "no times"};
  for (const Warning& warning : record.warnings) {
    if (std::find(std::begin(kUnusable), std::end(kUnusable), warning.code) != std::end(kUnusable))
      return LeftOut{file, "/quality/warnings", warning.code};
  }
  if (record.point.scaled_from_layers)
    return LeftOut{file, "/case/scaled_from_layers", "its times are composed, not measured"};
  if (record.point.overlap_chunks > 1)
    return LeftOut{file, "/case/overlap_chunks", "what overlaps tells neither compute nor communication"};
  if (record.point.groups == Groups::all)
    return LeftOut{file, "/case/groups", "its groups shared the machine"};
  if (!(record.time->step.summary.median > 0)) return LeftOut{file, "/time_s/step", "is not above 0"};
  return std::nullopt;
}

std::optional<LeftOut> why_no_communication(const MeasuredCase& measured) {
  const Record& record = measured.record;
  if (record.point.layout.ranks() == 1) return std::nullopt;
  const auto says = [&](const std::vector<std::string>& quantities) {
    return std::find(quantities.begin(), quantities.end(), "communication") != quantities.end();
  };
  if (record.clock && (says(record.clock->untold) || says(record.clock->doubtful)))
    return LeftOut{measured.file, "/time_s/communication", "below three errors of its clocks"};
  const std::set<std::string> hosts(record.ranks.hosts.begin(), record.ranks.hosts.end());
  if (record.schema < 2 && hosts.size() > 1)
    return LeftOut{measured.file, "/schema",
                   "communication between hosts was measured without its latency in schema 1"};
  return std::nullopt;
}

class Reader {
 public:
  void read(const std::string& path) {
    std::error_code error;
    if (fs::is_directory(path, error)) return read_folder(path);
    if (!fs::exists(path, error)) throw UsageError({Fault{path, "", "", "no such folder or file"}});
    CalibrationSource source;
    source.path = path;
    const auto curves = read_probe(path, evidence_.left_out, source);
    evidence_.curves.insert(evidence_.curves.end(), curves.begin(), curves.end());
    evidence_.sources.push_back(source);
  }

  Evidence finish() {
    leave_out_other_machines();
    leave_out_other_fabrics();
    for (MeasuredCase& measured : evidence_.cases) {
      if (!measured.tells_communication) continue;
      const auto why = why_no_communication(measured);
      measured.tells_communication = !why;
      if (why) evidence_.left_out.push_back(*why);
    }
    leave_out_cold_collectives();
    for (const MeasuredCase& measured : evidence_.cases) {
      CalibrationSource& source = evidence_.sources[measured.source];
      ++source.cases;
      source.ranks_per_host = std::max(source.ranks_per_host, measured.busy_ranks());
    }
    return std::move(evidence_);
  }

 private:
  void read_folder(const std::string& folder) {
    const std::vector<fs::path> files = record_files(folder);
    if (files.empty())
      throw UsageError({Fault{folder, "", "",
                              "holds no records: a result folder has records/ID.json, written by a run with "
                              "--output"}});
    CalibrationSource source;
    source.path = folder;
    std::map<std::string, Json> environments;
    for (const fs::path& file : files) {
      try {
        Record record = read_record(file);
        if (source.measured_by.empty()) {
          source.measured_by = fmt::format("tpbench.record/{}", record.schema);
          source.label = record.label;
        }
        if (!environments.contains(record.environment))
          environments[record.environment] = read_environment(folder, record.environment);
        add(std::move(record), file.string(), environments[record.environment]);
      } catch (const EnvironmentError&) {
        throw;
      } catch (const FieldFault& fault) {
        evidence_.left_out.push_back({file.string(), fault.pointer, fault.rule});
      } catch (const std::exception& problem) {
        evidence_.left_out.push_back({file.string(), "", problem.what()});
      }
    }
    for (const auto& [name, environment] : environments) tpbench::describe_environment(environment, source);
    evidence_.sources.push_back(source);
  }

  // Records alone can be fitted: what the environment does not say is not asked.
  Json read_environment(const std::string& folder, const std::string& name) {
    const fs::path file = fs::path(folder) / name;
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return Json::object();
    Json json = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) return json;
    evidence_.left_out.push_back({file.string(), "", "not a JSON object"});
    return Json::object();
  }

  void add(Record record, const std::string& file, const Json& environment) {
    if (const auto why = why_unusable(record, file)) {
      evidence_.left_out.push_back(*why);
      return;
    }
    machines_.push_back(machine_of(environment, record.point.backend));
    evidence_.cases.push_back({std::move(record), file, evidence_.sources.size()});
  }

  // Of each backend the machine that most cases were measured on: rates of two are those of neither.
  void leave_out_other_machines() {
    std::vector<bool> keep(evidence_.cases.size(), true);
    for (std::size_t key = 0; key < 2; ++key) {
      std::map<std::string, std::map<std::string, std::size_t>> seen;  // backend, machine
      const auto said = [&](std::size_t i) {
        return key < machines_[i].size() ? machines_[i][key].text : std::string();
      };
      for (std::size_t i = 0; i < keep.size(); ++i) {
        if (keep[i] && !said(i).empty()) ++seen[evidence_.cases[i].record.point.backend][said(i)];
      }
      for (std::size_t i = 0; i < keep.size(); ++i) {
        const auto& of_backend = seen[evidence_.cases[i].record.point.backend];
        if (!keep[i] || said(i).empty() || of_backend.size() < 2) continue;
        const auto most = std::max_element(of_backend.begin(), of_backend.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        if (said(i) == most->first) continue;
        keep[i] = false;
        const MeasuredCase& measured = evidence_.cases[i];
        evidence_.left_out.push_back(
            {measured.file, fmt::format("{}#{}", measured.record.environment, machines_[i][key].key),
             fmt::format("is {}, and {} of most cases", said(i), most->first)});
      }
    }
    std::size_t i = 0;
    std::erase_if(evidence_.cases, [&](const MeasuredCase&) { return !keep[i++]; });
  }

  // What lay in no cache takes longer to send: one curve is of one state.
  void leave_out_cold_collectives() {
    const auto moves = [](const MeasuredCase& measured) {
      return measured.tells_communication && measured.record.point.layout.ranks() > 1;
    };
    const auto is_warm = [&](const MeasuredCase& measured) {
      return moves(measured) && measured.record.point.cache == CacheState::warm;
    };
    if (std::none_of(evidence_.cases.begin(), evidence_.cases.end(), is_warm)) return;
    for (MeasuredCase& measured : evidence_.cases) {
      if (!moves(measured) || is_warm(measured)) continue;
      measured.tells_communication = false;
      evidence_.left_out.push_back(
          {measured.file, "/case/cache", "collectives with cold caches, as others have warm ones"});
    }
  }

  // Labels name fabrics: what one carried is not told from what another did.
  void leave_out_other_fabrics() {
    const auto first = std::find_if(evidence_.sources.begin(), evidence_.sources.end(),
                                    [](const CalibrationSource& source) { return !source.label.empty(); });
    if (first == evidence_.sources.end()) return;
    std::set<std::size_t> others;
    for (MeasuredCase& measured : evidence_.cases) {
      const std::string& label = evidence_.sources[measured.source].label;
      if (label.empty() || label == first->label) continue;
      measured.tells_communication = false;
      if (others.insert(measured.source).second)
        evidence_.left_out.push_back(
            {evidence_.sources[measured.source].path, "/label",
             fmt::format("communication of fabric {}, as {} is of {}", label, first->path, first->label)});
    }
  }

  Evidence evidence_;
  std::vector<std::vector<Machine>> machines_;  // of evidence_.cases
};

}  // namespace

std::int64_t MeasuredCase::busy_ranks() const {
  std::map<std::string, std::int64_t> ranks;
  std::int64_t most = 1;
  for (const std::string& host : record.ranks.hosts) most = std::max(most, ++ranks[host]);
  return most;
}

std::int64_t MeasuredCase::ranks_per_host() const {
  const std::set<std::string> hosts(record.ranks.hosts.begin(), record.ranks.hosts.end());
  return hosts.size() < 2 ? 0 : busy_ranks();
}

Evidence read_evidence(std::span<const std::string> paths) {
  Reader reader;
  for (const std::string& path : paths) reader.read(path);
  return reader.finish();
}

namespace {

std::vector<ProbedCurve> curves_of(const Json& document, const std::string& file,
                                   std::vector<LeftOut>& left_out) {
  std::vector<ProbedCurve> curves;
  std::size_t index = 0;
  for (const Json& path : document.value("paths", Json::array())) {
    const std::string key = fmt::format("/paths/{}", index++);
    const auto kind = enum_from_name<PathKind>(text_at(path, "/path"));
    const auto operation = enum_from_name<ProbeOperation>(text_at(path, "/operation"));
    if (!kind || !operation) {
      left_out.push_back({file, key, "neither a path nor an operation of this version"});
      continue;
    }
    if (const std::string problem = text_at(path, "/problem"); !problem.empty()) {
      left_out.push_back({file, key, problem});
      continue;
    }
    ProbedCurve curve = {*kind,
                         *operation,
                         static_cast<std::int64_t>(path.value("ranks", Json::array()).size()),
                         static_cast<std::int64_t>(path.value("hosts", Json::array()).size()),
                         {}};
    for (const Json& point : path.value("points", Json::array())) {
      const Json::json_pointer median("/time_s/median");
      if (!point.contains(median) || !point.at(median).is_number() || !(point.at(median) > 0)) continue;
      curve.points.push_back({point.value("bytes", std::int64_t{0}), point.at(median).get<double>()});
    }
    std::erase_if(curve.points, [](const TimedSize& point) { return point.bytes <= 0; });
    std::sort(curve.points.begin(), curve.points.end(),
              [](const TimedSize& a, const TimedSize& b) { return a.bytes < b.bytes; });
    if (curve.points.empty())
      left_out.push_back({file, key, "has no times"});
    else
      curves.push_back(std::move(curve));
  }
  return curves;
}

}  // namespace

std::vector<ProbedCurve> read_probe(const std::string& file, std::vector<LeftOut>& left_out,
                                    CalibrationSource& source) {
  const Json document = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
  const std::string schema = text_at(document, "/schema");
  if (schema.starts_with("tpbench.calibration/"))
    throw UsageError({Fault{file, "", "", "is a calibration: give it by --calibration"}});
  if (schema != "tpbench.probe/1" && schema != "tpbench.probe/2")
    throw UsageError({Fault{file, "/schema", schema.empty() ? "" : Json(schema).dump(),
                            "is no result folder and no document of tpbench probe --output"}});
  source.measured_by = schema;
  source.label = text_at(document, "/label");
  if (document.contains("environment")) describe_environment(document.at("environment"), source);
  try {
    std::vector<ProbedCurve> curves = curves_of(document, file, left_out);
    source.cases = curves.size();
    return curves;
  } catch (const Json::exception& fault) {
    throw UsageError({Fault{file, "", "", fmt::format("is damaged: {}", fault.what())}});
  }
}

}  // namespace tpbench
