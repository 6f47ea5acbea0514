#include "result/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "result/atomic_file.hpp"
#include "result/environment_difference.hpp"
#include "result/json_difference.hpp"
#include "result/read_text.hpp"
#include "result/record_check.hpp"
#include "result/running.hpp"
#include "result/scaling.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRunSchema = "tpbench.run/1";

constexpr std::uintmax_t kLeastFreeBytes = std::uintmax_t{16} << 20U;

// What two launches on the same machine do not share.
constexpr std::string_view kVolatileKeys[] = {"started_at", "noise", "memory_available_bytes", "core_rates",
                                              "pid"};

// A label or a host name need not be UTF-8: better a mark in its place than a result that is lost.
std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

void create_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    throw EnvironmentError(fmt::format("{}: cannot create the folder: {}", path.string(),
                                       error ? error.message() : "a file is there"));
  }
}

// Found before the first case, not after an hour: a probe goes the way that every record will go.
void check_writable(const fs::path& path) {
  const fs::path probe = path / "records" / "write-probe";
  write_file_atomically(probe, "tpbench\n");
  std::error_code error;
  fs::remove(probe, error);
  if (error) throw EnvironmentError(fmt::format("{}: cannot remove: {}", probe.string(), error.message()));
  const fs::space_info space = fs::space(path, error);
  if (!error && space.available < kLeastFreeBytes) {
    throw EnvironmentError(
        fmt::format("{}: only {} are free on this file system; tpbench wants {} before it starts",
                    path.string(), format_bytes(static_cast<double>(space.available)),
                    format_bytes(static_cast<double>(kLeastFreeBytes))));
  }
}

// What file systems and desktops leave in any folder; "._x.json" beside each file x.json on some.
bool is_left_by_others(std::string_view name) {
  constexpr std::string_view kNames[] = {"lost+found", ".DS_Store", ".directory", "Thumbs.db", "desktop.ini"};
  return name.starts_with("._") || name.starts_with(".nfs") ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// What a run that ended early leaves behind may lie there; a home or a source folder was a slip of the
// finger.
void check_nothing_else_is_there(const fs::path& path) {
  constexpr std::size_t kMostNamed = 3;
  std::vector<std::string> others;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name == ".lock" || name == "run.json" || name == kRunningFile || name == "records" ||
                      name == "traces" || name.find(kTemporaryMark) != std::string::npos;
    if (!ours && !is_left_by_others(name)) others.push_back(name);
  }
  if (others.empty()) return;
  std::sort(others.begin(), others.end());
  const std::size_t more = others.size() > kMostNamed ? others.size() - kMostNamed : 0;
  others.resize(others.size() - more);
  throw UsageError(fmt::format(
      "--output {}: the folder holds something else ({}{}); results want a new folder or an empty one",
      path.string(), join_words(others, ", "), more > 0 ? fmt::format(" and {} more", more) : ""));
}

void remove_leftovers(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().find(kTemporaryMark) != std::string::npos)
      leftovers.push_back(entry.path());
  }
  for (const fs::path& leftover : leftovers) fs::remove(leftover, error);
}

// At every depth: each host of the launch has its own.
Json without_volatile_keys(Json environment) {
  if (environment.is_object()) {
    for (const std::string_view key : kVolatileKeys) environment.erase(std::string(key));
    if (environment.contains("variables")) erase_job_variables(environment["variables"]);
  }
  if (environment.is_structured()) {
    for (Json& value : environment) value = without_volatile_keys(std::move(value));
  }
  return environment;
}

// Nothing when there is no such file, or when it is not JSON.
std::optional<Json> read_json(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  Json json = Json::parse(read_text(path), nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? std::nullopt : std::optional<Json>(std::move(json));
}

// A sweep of an older version lacks the keys that have been added since.
Json as_known_today(const Json& sweep) {
  const bool is_sweep = sweep.is_object() && sweep.value("measure", Json::object()).is_object();
  return is_sweep ? resolve_sweep(sweep) : sweep;
}

std::string environment_name(int number) {
  return number == 1 ? "environment.json" : fmt::format("environment-{}.json", number);
}

}  // namespace

Record read_record(const fs::path& file) {
  const std::string text = read_text(file);
  const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded())
    throw std::runtime_error(text.empty() ? "the file is empty" : "not valid JSON, or cut off");
  Record record = record_from_json(document);
  check_consistent(record, file.stem().string());
  return record;
}

std::vector<fs::path> record_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "records", error)) {
    if (entry.path().extension() == ".json" && !is_left_by_others(entry.path().filename().string()))
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Record> read_records(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw EnvironmentError(fmt::format("{}: no such folder", folder.string()));
  std::vector<Record> records;
  for (const fs::path& file : record_files(folder)) {
    try {
      records.push_back(read_record(file));
    } catch (const std::exception& problem) {
      log::warning(
          fmt::format("{} is ignored, as it is not a valid record: {}", file.string(), problem.what()));
    }
  }
  return records;
}

std::optional<StepTrace> read_trace(const fs::path& folder, const std::string& id) {
  const std::optional<Json> document = read_json(folder / "traces" / (id + ".json"));
  if (!document) return std::nullopt;
  try {
    return trace_from_json(*document);
  } catch (const std::exception& problem) {
    log::warning(fmt::format("{}: {}", (folder / "traces" / (id + ".json")).string(), problem.what()));
    return std::nullopt;
  }
}

void check_can_be_resumed(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    throw UsageError(fmt::format("--resume {}: there is no such folder", path.string()));
  if (!fs::exists(path / "sweep.json")) {
    throw UsageError(fmt::format(
        "--resume {}: there is no sweep.json in this folder; to start there, use --output", path.string()));
  }
}

namespace {

// What was measured stays as it is when the same cases are measured once more.
bool adds_epochs(const JsonDifference& difference) {
  if (difference.pointer != "/measure/epochs") return false;
  const Json before = Json::parse(difference.first, nullptr, false),
             now = Json::parse(difference.second, nullptr, false);
  return before.is_number_integer() && now.is_number_integer() &&
         now.get<std::int64_t>() > before.get<std::int64_t>();
}

}  // namespace

void check_same_sweep(const fs::path& path, const Json& resolved_sweep) {
  check_can_be_resumed(path);
  const std::optional<Json> earlier = read_json(path / "sweep.json");
  if (!earlier) throw UsageError(fmt::format("--resume {}: its sweep.json is not JSON", path.string()));
  auto differing = differences(as_known_today(*earlier), as_known_today(resolved_sweep));
  std::erase_if(differing, adds_epochs);
  if (differing.empty()) return;
  std::string text = fmt::format(
      "--resume {}: the folder was made from another sweep; choose another --output, or "
      "undo what differs:",
      path.string());
  for (const JsonDifference& difference : differing) {
    text += fmt::format("\n  {}: {} in the folder, {} now", difference.pointer, difference.first,
                        difference.second);
  }
  throw UsageError(text);
}

std::vector<std::string> recorded_filters(const fs::path& folder) {
  const fs::path file = folder / "run.json";
  if (!fs::exists(file)) return {};
  const std::optional<Json> run = read_json(file);
  const auto is_text = [](const Json& value) { return value.is_string(); };
  const bool sound = run && run->is_object() && run->value("schema", Json()) == kRunSchema &&
                     run->value("filters", Json()).is_array() &&
                     std::all_of(run->at("filters").begin(), run->at("filters").end(), is_text);
  if (!sound) {
    throw UsageError(
        fmt::format("{}: is not a {} document, so the filters of the earlier run are unknown; give them with "
                    "--filter, or --filter all",
                    file.string(), kRunSchema));
  }
  return run->at("filters").get<std::vector<std::string>>();
}

std::optional<std::string> recorded_label(const fs::path& folder) {
  const std::optional<Json> environment = read_json(folder / "environment.json");
  if (environment && environment->is_object() && environment->value("label", Json()).is_string()) {
    std::string label = environment->at("label").get<std::string>();
    // A run that left no record and no name has named nothing.
    if (label.empty() && record_files(folder).empty()) return std::nullopt;
    return label;
  }
  const std::vector<Record> records = read_records(folder);
  return records.empty() ? std::nullopt : std::optional<std::string>(records.front().label);
}

ResultFolder ResultFolder::create(const fs::path& path) {
  create_folders(path);
  const auto holds_results = [&] { return fs::exists(path / "sweep.json") || !record_files(path).empty(); };
  if (!holds_results()) check_nothing_else_is_there(path);
  ResultFolder folder(path);
  if (holds_results()) {
    throw UsageError(
        fmt::format("{} already holds results; use --resume {} to continue them, or another --output",
                    path.string(), shell_quoted(path.string())));
  }
  create_folders(path / "records");
  check_writable(path);
  return folder;
}

ResultFolder ResultFolder::create_numbered(const fs::path& path) {
  if (path.has_parent_path()) create_folders(path.parent_path());
  for (int number = 1;; ++number) {
    const fs::path candidate = number == 1 ? path : fs::path(fmt::format("{}-{}", path.string(), number));
    std::error_code error;
    // Only one of several processes makes a folder.
    if (fs::create_directory(candidate, error)) return create(candidate);
    if (error && !fs::exists(candidate)) {
      throw EnvironmentError(
          fmt::format("{}: cannot create the folder: {}", candidate.string(), error.message()));
    }
  }
}

ResultFolder ResultFolder::resume(const fs::path& path, const Json& resolved_sweep) {
  check_same_sweep(path, resolved_sweep);
  ResultFolder folder(path);
  create_folders(path / "records");
  remove_leftovers(path);
  remove_leftovers(path / "records");
  remove_leftovers(path / "traces");
  check_writable(path);
  const std::optional<Json> earlier = read_json(path / "sweep.json");
  const auto differing = differences(as_known_today(*earlier), as_known_today(resolved_sweep));
  if (std::any_of(differing.begin(), differing.end(), adds_epochs)) folder.write_sweep(resolved_sweep);
  if (const auto left = settle_running(path))
    log::warning(fmt::format("case {} was running when the earlier run ended: {}", left->id,
                             left->reason.value_or("")));
  return folder;
}

void ResultFolder::settle(const fs::path& path, const std::string& reason,
                          const std::function<std::string(const std::vector<Record>&)>& summarise) {
  // The lock of a process that was killed goes with it, in its own time.
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::error_code error;
    if (!fs::exists(path / kRunningFile, error)) return;
    try {
      ResultFolder folder(path);
      if (settle_running(path, reason)) folder.write_summary(summarise(folder.read_records()));
      return;
    } catch (const UsageError&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    } catch (const std::exception& problem) {
      log::warning(problem.what());
      return;
    }
  }
}

ResultFolder::ResultFolder(fs::path path) : path_(std::move(path)) {
  // The file stays behind: to remove a lock file is a race with the next run that opens it.
  const fs::path file = path_ / ".lock";
  lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0)
    throw EnvironmentError(fmt::format("{}: cannot create: {}", file.string(), std::strerror(errno)));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  if (error == EWOULDBLOCK) {
    ::close(std::exchange(lock_, -1));
    throw UsageError(fmt::format(
        "{}: another run is writing to this folder; wait for it or choose another --output", path_.string()));
  }
  log::warning(fmt::format("{}: this file system has no locks ({}); start no second run into this folder",
                           path_.string(), std::strerror(error)));
}

ResultFolder::ResultFolder(ResultFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

ResultFolder& ResultFolder::operator=(ResultFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

ResultFolder::~ResultFolder() {
  if (lock_ >= 0) ::close(lock_);  // and with it the lock goes
}

void ResultFolder::write_sweep(const Json& resolved_sweep) {
  write_file_atomically(path_ / "sweep.json", to_text(resolved_sweep));
}

void ResultFolder::write_run(const std::string& command, const std::vector<std::string>& filters) {
  write_file_atomically(path_ / "run.json",
                        to_text({{"schema", kRunSchema}, {"command", command}, {"filters", filters}}));
}

std::string ResultFolder::write_environment(const Json& environment) {
  const Json wanted = without_volatile_keys(environment);
  for (int number = 1;; ++number) {
    const std::string name = environment_name(number);
    if (!fs::exists(path_ / name)) {
      write_file_atomically(path_ / name, to_text(environment));
      return name;
    }
    const std::optional<Json> earlier = read_json(path_ / name);
    if (earlier && differences(without_volatile_keys(*earlier), wanted).empty()) return name;
  }
}

void ResultFolder::write_record(const Record& record) {
  if (record.id.empty() || record.id.find('/') != std::string::npos) {
    throw std::invalid_argument(fmt::format("\"{}\" cannot name a record", record.id));
  }
  write_file_atomically(path_ / "records" / (record.id + ".json"), to_text(record_to_json(record)));
}

void ResultFolder::write_trace(const StepTrace& trace) {
  create_folders(path_ / "traces");
  write_file_atomically(path_ / "traces" / (trace.id + ".json"), trace_to_json(trace).dump() + '\n');
}

void ResultFolder::write_summary(std::string_view csv) { write_file_atomically(path_ / "summary.csv", csv); }

}  // namespace tpbench
