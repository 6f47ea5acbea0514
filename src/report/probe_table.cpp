#include "report/probe_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/units.hpp"

namespace tpbench {
namespace {

std::string ranks_of(const ProbedPath& path) {
  if (path.ranks.size() == 2) return fmt::format("{}-{}", path.ranks[0], path.ranks[1]);
  return fmt::format("{} ranks", path.ranks.size());
}

std::string place_of(const ProbedPath& path) {
  if (path.hosts.size() > 2) return fmt::format("{} hosts", path.hosts.size());
  return fmt::format("{}", fmt::join(path.hosts, " - "));
}

std::vector<Value> name_cells(const ProbedPath& path) {
  return {place_of(path), std::string(name_of(path.operation)), ranks_of(path)};
}

const std::vector<Section::Column> kNameColumns = {{"path"}, {"operation"}, {"ranks"}};

Section piece_section(std::span<const ProbedPath> paths) {
  Section section = {
      .title = "A message of n bytes takes alpha + beta n (dev: how far that is from the medians measured)",
      .columns = kNameColumns};
  for (const char* heading : {"from", "to", "alpha", "1/beta", "median dev", "max dev"})
    section.columns.push_back({heading, Align::right});
  section.columns.push_back({"cut by"});
  for (const ProbedPath& path : paths) {
    for (const CostPiece& piece : path.pieces) {
      std::vector<Value> cells = name_cells(path);
      const AlphaBeta& model = piece.model;
      const double beta = model.beta_s_per_byte;
      for (Value cell :
           {Value(piece.from_bytes, Kind::message_bytes), Value(piece.to_bytes, Kind::message_bytes),
            Value(model.alpha_s, Kind::seconds), beta > 0 ? Value(1 / beta, Kind::gigabytes) : Value(),
            Value(model.median_deviation, Kind::share_tenths), Value(model.max_deviation, Kind::share_tenths),
            Value(path.cut == CutRule::eager_limit ? "eager limit" : "search")})
        cells.push_back(std::move(cell));
      section.rows.push_back({std::move(cells)});
    }
  }
  return section;
}

// About five sizes of all that there are, the smallest and the largest among them.
std::set<std::int64_t> shown_sizes(std::span<const ProbedPath> paths) {
  constexpr std::size_t kShown = 5;
  std::set<std::int64_t> sizes;
  for (const ProbedPath& path : paths) {
    for (std::size_t i = 0; i < kShown && !path.points.empty(); ++i)
      sizes.insert(path.points[i * (path.points.size() - 1) / (kShown - 1)].bytes);
  }
  return sizes;
}

Section time_section(std::span<const ProbedPath> paths) {
  Section section = {.title = "Median times, with half the width of their exact 95 % intervals",
                     .columns = kNameColumns};
  const std::set<std::int64_t> sizes = shown_sizes(paths);
  for (const std::int64_t bytes : sizes)
    section.columns.push_back({text_of(Value(bytes, Kind::message_bytes)), Align::right});
  for (const ProbedPath& path : paths) {
    std::vector<Value> cells = name_cells(path);
    for (const std::int64_t bytes : sizes) {
      const auto point = std::find_if(path.points.begin(), path.points.end(),
                                      [&](const ProbePoint& at) { return at.bytes == bytes; });
      cells.push_back(point == path.points.end()
                          ? Value("")
                          : Value(point->time_s.median, Kind::seconds_brief, point->time_s.ci95));
    }
    section.rows.push_back({std::move(cells)});
  }
  return section;
}

std::string name_of_path(const ProbedPath& path) {
  return fmt::format("{} {} {}", place_of(path), name_of(path.operation), ranks_of(path));
}

// Paths on which many medians are hardly known: their alpha and beta are no better.
std::vector<Section::Row> noise_rows(std::span<const ProbedPath> paths) {
  constexpr double kWide = 0.25;
  std::vector<Section::Row> rows;
  for (const ProbedPath& path : paths) {
    const auto wide = std::count_if(path.points.begin(), path.points.end(), [](const ProbePoint& point) {
      const Summary& time = point.time_s;
      return time.ci95 && ((*time.ci95)[1] - (*time.ci95)[0]) / 2 > kWide * time.median;
    });
    if (wide == 0) continue;
    rows.push_back({{},
                    fmt::format("Note: {}: {} of {} medians are known to no better than {}: other programs, "
                                "or ranks that share a core",
                                name_of_path(path), wide, path.points.size(), format_percent(kWide))});
  }
  return rows;
}

std::string describe_transport(const ProbedPath& path) {
  const Json& transport = path.transport;
  const std::string how = transport.value("how", "unknown");
  const auto framework = optional_from<std::string>(transport, "framework");
  const auto component = optional_from<std::string>(transport, "component");
  std::string text = fmt::format("{}: ", place_of(path));
  if (component)
    text += fmt::format("{} {} ({})", framework.value_or(""), *component, how);
  else
    text += how == "unknown" ? "what carries messages is unknown" : "several may carry messages (allowed)";
  text += fmt::format(": {}", transport.value("reason", ""));
  if (path.eager_limit_bytes)
    text += fmt::format("; eager limit {}", text_of(Value(*path.eager_limit_bytes, Kind::message_bytes)));
  if (transport.value("loopback", Json()) == true)
    text += "; both are one kernel, nothing leaves the machine";
  return text;
}

Section transport_section(std::span<const ProbedPath> paths) {
  Section section = {.title = "What carried the messages, as far as the MPI library tells"};
  std::set<std::string> said;
  for (const ProbedPath& path : paths) {
    if (path.transport.is_null()) continue;
    const std::string line = describe_transport(path);
    if (said.insert(line).second) section.sentences.push_back(line);
  }
  return section;
}

Section problem_section(std::span<const ProbedPath> paths) {
  Section section;
  for (const ProbedPath& path : paths) {
    if (path.problem)
      section.sentences.push_back(fmt::format("{} FAILED, no times: {}", name_of_path(path), *path.problem));
  }
  return section;
}

}  // namespace

std::vector<Section> probe_sections(std::span<const ProbedPath> paths) {
  Section times = time_section(paths);
  for (Section::Row& row : noise_rows(paths)) times.rows.push_back(std::move(row));
  return {problem_section(paths), piece_section(paths), std::move(times), transport_section(paths)};
}

}  // namespace tpbench
