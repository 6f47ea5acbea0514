// What a comparison could have seen, in words.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "report/compare_render.hpp"

namespace tpbench {

std::string share_text(double share) { return text_of({share, Kind::small_share}); }

bool shows_ten_percent(const Comparison& comparison) {
  const auto& detectable = comparison.summaries[0].detectable;
  return detectable && *detectable <= 0.10;
}

std::string outcome_sentence(const Comparison& comparison, const std::string& base,
                             const std::string& other) {
  const QuantitySummary& step = comparison.summaries[0];
  if (!step.geometric_mean) return fmt::format("{} and {}: no step could be compared.", other, base);
  const std::string mean = fmt::format("its steps take {} times as long in the geometric mean",
                                       text_of({*step.geometric_mean, Kind::ratio}));
  if (step.faster == 0 && step.slower == 0)
    return fmt::format("{}: no difference from {} beyond chance and noise; {}.", other, base, mean);
  const std::string slower = step.slower == 0 ? "none" : std::to_string(step.slower);
  return fmt::format("{} is faster than {} in {} of {} and slower in {}, beyond chance and noise; {}.", other,
                     base, step.faster, counted(comparison.cases.size(), "case"), slower, mean);
}

std::string visibility_sentence(const Comparison& comparison) {
  const QuantitySummary& steps = comparison.summaries[0];
  if (!steps.detectable) return "Nothing can be said of what these data could show.";
  if (comparison.design == Design::rolling)
    return fmt::format(
        "A new launch whose step differs by {} or more from the {} launches of the baseline would show in 9 "
        "of 10 "
        "cases (at 95 %); more launches in the baseline show less.",
        share_text(*steps.detectable), comparison.rounds);
  const bool several = comparison.rounds > 1, ten = shows_ten_percent(comparison);
  const std::string size = share_text(*steps.detectable);
  const std::string basis = several ? fmt::format(" (at 95 %, {} rounds)", comparison.rounds) : " (at 95 %)";
  const std::string sentence =
      ten ? fmt::format("A step that changes by {} or more would show in 9 of 10 cases{}.", size, basis)
          : fmt::format(
                "These data cannot show a difference of 10 %: a step has to change by {} to show in 9 of 10 "
                "cases{}.",
                size, basis);
  if (!several) {
    return sentence +
           (ten ? " One launch on each side knows nothing of how launches differ: scripts/alternate.sh runs "
                  "several in turn."
                : " One launch on each side does not tell how many more would: scripts/alternate.sh runs "
                  "them in turn and says it.");
  }
  const auto more = [&](const std::optional<std::size_t>& rounds) {
    return rounds
               ? "about " + counted(std::max<std::size_t>(*rounds, comparison.rounds + 1) - comparison.rounds,
                                    "more round")
               : std::string("no reasonable number of rounds");
  };
  if (!ten)
    return sentence + fmt::format(" To show 10 % takes {}, to show 5 % {}.", more(steps.rounds_for_10),
                                  more(steps.rounds_for_5));
  if (*steps.detectable > 0.05)
    return sentence + fmt::format(" To show 5 % takes {}.", more(steps.rounds_for_5));
  return sentence;
}

}  // namespace tpbench
