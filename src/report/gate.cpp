#include "report/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/json.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

std::string percent(double limit) { return fmt::format("{:.3g} %", 100 * limit); }

const char* is_or_are(std::size_t count) { return count == 1 ? "is" : "are"; }

std::size_t lost_in_other(const Comparison& comparison) {
  return static_cast<std::size_t>(
      std::count_if(comparison.unmatched.begin(), comparison.unmatched.end(), [](const UnmatchedCase& pair) {
        const bool failed = pair.other != nullptr && pair.other->status == Status::failed;
        return pair.base != nullptr && is_timed(*pair.base) && !failed;
      }));
}

// Slower than allowed as measured, and not when the machine's own change is taken out.
std::size_t by_the_machine(const Comparison& comparison, double limit) {
  return static_cast<std::size_t>(
      std::count_if(comparison.cases.begin(), comparison.cases.end(), [&](const ComparedCase& compared) {
        const Cell& step = compared.cells[0];
        return step.verdict == Verdict::machine && step.ratio.value_or(1) > 1 + limit;
      }));
}

void judge(const Comparison& comparison, Gate& gate, const std::string& where) {
  const std::size_t cases = comparison.cases.size();
  gate.cases += cases;
  const auto add = [&](std::vector<std::string>& reasons, std::size_t count, const std::string& words) {
    if (count > 0) reasons.push_back(where + words);
  };
  const std::size_t broken = broken_in_other(comparison).size();
  add(gate.failures, broken,
      fmt::format("{} that {} ok failed", counted(broken, "case"), broken == 1 ? "was" : "were"));
  const std::size_t slower = slower_than(comparison, gate.limit).size();
  const std::string slow_words = fmt::format("{} of {} {} slower by more than {}", slower,
                                             counted(cases, "case"), is_or_are(slower), percent(gate.limit));
  // Of sides that are not alike nothing else can be said.
  if (comparison.alarms.empty()) {
    add(gate.failures, slower, slow_words);
  } else {
    gate.open.push_back(where + "the sides are not alike: see the first lines of the comparison");
    add(gate.open, slower, slow_words);
  }
  const std::size_t blind = blind_at(comparison, gate.limit).size();
  add(gate.open, blind,
      fmt::format("{} of {} cannot be judged at {}", blind, counted(cases, "case"), percent(gate.limit)));
  const std::size_t lost = lost_in_other(comparison);
  add(gate.open, lost,
      fmt::format("{} that {} ok {} skipped or absent", counted(lost, "case"), lost == 1 ? "was" : "were",
                  is_or_are(lost)));
  const std::size_t machine = by_the_machine(comparison, gate.limit);
  add(gate.open, machine,
      fmt::format("{} of {} {} slower as the machine itself is", machine, counted(cases, "case"),
                  is_or_are(machine)));
  if (cases == 0) gate.open.push_back(where + "no case is ok on both sides");
}

std::string word_of(GateOutcome outcome) {
  std::string word(name_of(outcome));
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return word;
}

}  // namespace

std::string Gate::line() const {
  if (outcome == GateOutcome::pass)
    return fmt::format("PASS: none of {} is slower by more than {}", counted(cases, "case"), percent(limit));
  const std::vector<std::string>& reasons = outcome == GateOutcome::fail ? failures : open;
  std::string text = fmt::format("{}: {}", word_of(outcome), fmt::join(reasons, "; "));
  if (counted_as && outcome == GateOutcome::inconclusive)
    text += fmt::format(" (counts as {})", name_of(*counted_as));
  return text;
}

Gate judge_gate(std::span<const Comparison> comparisons, double limit) {
  Gate gate{.limit = limit};
  for (const Comparison& comparison : comparisons)
    judge(comparison, gate, comparisons.size() > 1 ? comparison.other.path() + ": " : "");
  gate.outcome = !gate.failures.empty() ? GateOutcome::fail
                 : !gate.open.empty()   ? GateOutcome::inconclusive
                                        : GateOutcome::pass;
  return gate;
}

Json gate_to_json(const Gate& gate) {
  return {{"outcome", name_of(gate.outcome)},
          {"counted_as", gate.outcome == GateOutcome::inconclusive && gate.counted_as
                             ? Json(name_of(*gate.counted_as))
                             : Json(nullptr)},
          {"limit", gate.limit},
          {"cases", gate.cases},
          {"failures", gate.failures},
          {"open", gate.open},
          {"line", gate.line()}};
}

}  // namespace tpbench
