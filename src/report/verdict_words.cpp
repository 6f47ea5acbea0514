// The verdicts on series as sentences: what somebody reads who reads one line.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/useful_degree.hpp"

namespace tpbench {
namespace {

using Verdicts = std::span<const UsefulDegree* const>;

// "0.81", "0.79 to 1.13"; `text` of the smallest and of the largest.
template <typename Get, typename Text>
std::string range_text(Verdicts verdicts, const Get& get, const Text& text) {
  double least = get(*verdicts.front()), most = least;
  for (const UsefulDegree* verdict : verdicts) {
    least = std::min(least, get(*verdict));
    most = std::max(most, get(*verdict));
  }
  const std::string first = text(least), last = text(most);
  return first == last ? first : first + " to " + last;
}

std::string two_digits(double value) { return fmt::format("{:.2f}", value); }

std::string fastest_text(Verdicts verdicts) {
  const UsefulDegree& one = *verdicts.front();
  std::string text = "fastest at " + one.fastest_name;
  const bool has_speedup = one.fastest_speedup && one.fastest != 1;
  const std::string speedup =
      has_speedup
          ? range_text(
                verdicts, [](const UsefulDegree& v) { return v.fastest_speedup.value_or(0); }, two_digits) +
                " times as fast as TP 1"
          : "";
  const std::string step = verdicts.size() == 1 ? format_seconds(one.fastest_step_s) : "";
  if (!step.empty() || has_speedup)
    text += fmt::format(" ({}{}{})", step, !step.empty() && has_speedup ? ", " : "", speedup);
  return text;
}

std::string useful_text(Verdicts verdicts) {
  const UsefulDegree& one = *verdicts.front();
  if (!one.degree) return fmt::format("no TP reaches efficiency {:.2f}", one.floor);
  std::string text =
      fmt::format("efficiency at least {:.2f} up to {} ({}{})", one.floor, one.degree_name,
                  range_text(
                      verdicts, [](const UsefulDegree& v) { return v.efficiency.value_or(0); }, two_digits),
                  one.fastest && *one.fastest < *one.degree ? ", yet slower" : "");
  if (!one.next) text += ", the largest TP tested";
  if (!one.gap.empty()) text += ", but " + one.gap;
  return text;
}

// Why the next degree is not useful, as far as that can be said.
std::string cause_text(Verdicts verdicts) {
  const UsefulDegree& one = *verdicts.front();
  if (!one.finding.empty()) return "cannot say why: " + one.finding;
  const bool is_one = verdicts.size() == 1;
  const std::string share = range_text(
      verdicts, [](const UsefulDegree& v) { return v.stop_share.value_or(0); }, format_percent);
  const std::string part = format_seconds(one.stop_part_s);
  switch (*one.stop) {
    case Stop::compute:
      return is_one ? fmt::format("compute did not shrink with TP: {}, ideal {}", part,
                                  format_seconds(one.stop_ideal_s))
                    : "compute did not shrink with TP: " + share + " of the step is too much";
    case Stop::communication:
      return is_one ? fmt::format("communication takes {} of {}", part, format_seconds(one.next_step_s))
                    : fmt::format("communication takes {} of the step", share);
    case Stop::wait:
      return is_one ? fmt::format("ranks wait {} of {} for late ones", part, format_seconds(one.next_step_s))
                    : fmt::format("ranks wait {} of the step for late ones", share);
    case Stop::unknown:
      return fmt::format(
          "cannot say whether by communication or by waiting: the clocks of its hosts are not known well "
          "enough ({} of the step)",
          share);
    default:
      return fmt::format("{} of the step is neither compute nor communication", share);
  }
}

std::string next_text(Verdicts verdicts) {
  const UsefulDegree& one = *verdicts.front();
  if (!one.next_outcome.empty()) return fmt::format("{} {}", one.next_name, one.next_outcome);
  return fmt::format(
      "{} ({}): {}", one.next_name,
      range_text(
          verdicts, [](const UsefulDegree& v) { return v.next_efficiency.value_or(0); }, two_digits),
      cause_text(verdicts));
}

// What is left open, as sentences of their own.
std::string doubt_text(Verdicts verdicts) {
  const UsefulDegree& one = *verdicts.front();
  std::vector<std::string> doubts;
  const bool is_said = one.next && one.next_outcome.empty();  // as the cause
  if (!one.finding.empty() && !is_said) doubts.push_back(one.finding);
  if (!one.doubt.empty()) doubts.push_back(one.doubt);
  if (!one.rivals.empty()) doubts.push_back(fmt::format("{} may be as fast", join_words(one.rivals)));
  if (doubts.empty()) return "";
  return fmt::format(" {}: {}.", one.is_open ? "No conclusion" : "Not certain", fmt::join(doubts, "; "));
}

// Series are said in one sentence when only numbers tell theirs apart.
std::string pattern_of(const UsefulDegree& verdict) {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", verdict.fastest_name, verdict.degree_name,
                     verdict.next_name, verdict.stop ? name_of(*verdict.stop) : "", verdict.next_outcome,
                     verdict.finding, verdict.no_baseline, verdict.gap, verdict.doubt,
                     fmt::join(verdict.rivals, "|"));
}

std::string names_text(Verdicts verdicts, std::size_t all) {
  if (verdicts.size() == all) return fmt::format("All {} shapes", all);
  constexpr std::size_t kNamed = 4;
  std::vector<std::string> names;
  for (const UsefulDegree* verdict : verdicts.first(std::min(kNamed, verdicts.size())))
    names.push_back(verdict->name);
  if (verdicts.size() > kNamed) names.push_back(fmt::format("{} more", verdicts.size() - kNamed));
  return join_words(names);
}

}  // namespace

std::string say_verdict(std::span<const UsefulDegree* const> agreeing) {
  const UsefulDegree& one = *agreeing.front();
  if (!one.fastest) return one.no_baseline.empty() ? "nothing was measured." : one.no_baseline + ".";
  if (one.is_alone && one.no_baseline.empty() && one.degree)
    return fmt::format("TP 1 is the only degree tested{}.",
                       agreeing.size() == 1 ? " (" + format_seconds(one.fastest_step_s) + ")" : "");
  std::string text = fastest_text(agreeing) + "; ";
  if (!one.no_baseline.empty()) return text + one.no_baseline + "." + doubt_text(agreeing);
  text += useful_text(agreeing) + ".";
  if (one.next && one.degree) text += ' ' + next_text(agreeing) + '.';
  return text + doubt_text(agreeing);
}

std::vector<std::string> verdict_sentences(std::span<const UsefulDegree> verdicts) {
  constexpr std::size_t kWorthJoining = 3;
  std::vector<std::pair<std::string, std::vector<const UsefulDegree*>>> groups;
  for (const UsefulDegree& verdict : verdicts) {
    const std::string pattern = pattern_of(verdict);
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == pattern; });
    if (group == groups.end()) group = groups.insert(groups.end(), {pattern, {}});
    group->second.push_back(&verdict);
  }
  std::vector<std::string> sentences;
  for (const auto& [pattern, group] : groups) {
    const bool is_all = group.size() == verdicts.size() && group.size() > 1;
    if (is_all || group.size() >= kWorthJoining) {
      sentences.push_back(names_text(group, verdicts.size()) + ": " + say_verdict(group));
    } else {
      for (const UsefulDegree* verdict : group) sentences.push_back(verdict->sentence);
    }
  }
  return sentences;
}

namespace {

// Warnings after which a cause is none of the program's and the fabric's; where `words` is null the warning's
// own words up to the first colon say it.
constexpr struct {
  const char* code;
  const char* words;
} kFindings[] = {
    {"oversubscribed", nullptr},
    {"shared_core", nullptr},
    {"shared_gpu", nullptr},
    {"thread_mismatch", nullptr},
    {"throttled_cpu", nullptr},
    {"slow_blas", "the BLAS kernels are slow ones for this CPU"},
    {"slow_compute", "compute runs far below what the cores can do"},
    {"mixed_kernels", "the hosts multiply with different BLAS kernels"},
    {"slow_rank", nullptr},
    {"busy_neighbour", "another program used a core, the caches or the memory meanwhile"},
    {"machine_drift", "the machine changed meanwhile"},
    {"moved_cores", "the ranks ran on other cores meanwhile"},
    {"throttled", "a GPU held its clock back"},
    {"mixed_launches", nullptr},
    {"debug_build", nullptr},
    {"baseline_launch", nullptr},  // last, as it says nothing of two cases of the same launch
};

}  // namespace

std::string machine_finding_code(const Record& record) {
  for (const auto& finding : kFindings) {
    for (const Warning& warning : record.warnings) {
      if (warning.code == finding.code) return warning.code;
    }
  }
  return "";
}

std::string machine_finding(const Record& record) {
  const std::string code = machine_finding_code(record);
  if (code.empty()) return "";
  for (const auto& finding : kFindings) {
    if (code == finding.code && finding.words != nullptr) return finding.words;
  }
  for (const Warning& warning : record.warnings) {
    if (warning.code != code) continue;
    return warning.message.substr(0, std::min(warning.message.find(": "), warning.message.find(';')));
  }
  return "";
}

Json verdict_to_json(const UsefulDegree& verdict) {
  const auto number = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  const auto words = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  return {{"series", verdict.series},
          {"name", verdict.name},
          {"fastest", number(verdict.fastest)},
          {"fastest_step_s", verdict.fastest ? Json(verdict.fastest_step_s) : Json(nullptr)},
          {"fastest_speedup", number(verdict.fastest_speedup)},
          {"degree", number(verdict.degree)},
          {"efficiency", number(verdict.efficiency)},
          {"efficiency_floor", verdict.floor},
          {"next", number(verdict.next)},
          {"next_efficiency", number(verdict.next_efficiency)},
          {"is_certain", verdict.is_certain()},
          {"below_floor", verdict.below_floor},
          {"doubtful", verdict.doubtful},
          {"stop", !verdict.stop             ? Json(nullptr)
                   : verdict.finding.empty() ? Json(name_of(*verdict.stop))
                                             : Json(name_of(Stop::unknown))},
          {"cannot_say", words(verdict.finding)},
          {"sentence", verdict.sentence}};
}

}  // namespace tpbench
