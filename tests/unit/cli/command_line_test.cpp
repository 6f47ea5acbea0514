#include "cli/command_line.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/text.hpp"

namespace tpbench {
namespace {

ParsedCommandLine parse(std::vector<const char*> words) {
  words.insert(words.begin(), "tpbench");
  return parse_command_line(static_cast<int>(words.size()), words.data(), /*speaks=*/false);
}

void expect_refused(const std::vector<const char*>& words) {
  const ParsedCommandLine parsed = parse(words);
  EXPECT_FALSE(parsed.command_line) << words.back();
  EXPECT_EQ(parsed.exit_status, 2) << words.back();
}

// What is said of a command line that is refused; "" when it is not.
std::string complaint(std::vector<const char*> words) {
  words.insert(words.begin(), "tpbench");
  testing::internal::CaptureStderr();
  const ParsedCommandLine parsed =
      parse_command_line(static_cast<int>(words.size()), words.data(), /*speaks=*/true);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.empty() ? 0 : 2, parsed.exit_status);
  return said.substr(0, said.find('\n'));
}

TEST(CommandLine, RunIsTheDefault) {
  const auto line = parse({"--config", "a.json", "--set", "seed=2", "--set", "dtype=f64", "--no-verify",
                           "--filter", "tp_degree=1", "--filter", "dtype=f64", "--format", "csv"})
                        .command_line.value();
  EXPECT_EQ(line.command, Command::run);
  EXPECT_EQ(line.config, "a.json");
  EXPECT_EQ(line.overrides, (std::vector<std::string>{"seed=2", "dtype=f64", "verify=off"}));
  EXPECT_EQ(line.filters.size(), 2U);
  EXPECT_EQ(line.format, Format::csv);
  EXPECT_EQ(parse({"run", "--config", "a.json"}).command_line.value().command, Command::run);
}

TEST(CommandLine, ShorthandsAreOverrides) {
  const auto line = parse({"--config", "a.json", "--backend", "cpu", "--seed", "7"}).command_line.value();
  EXPECT_EQ(line.overrides, (std::vector<std::string>{"backend=cpu", "seed=7"}));
}

TEST(CommandLine, OtherCommands) {
  EXPECT_EQ(parse({"validate", "a.json"}).command_line.value().command, Command::validate);
  EXPECT_EQ(parse({"models"}).command_line.value().command, Command::models);
  EXPECT_TRUE(parse({"models", "--json"}).command_line.value().json);
  EXPECT_EQ(parse({"info", "--json"}).command_line.value().command, Command::info);
  EXPECT_EQ(parse({"selfcheck"}).command_line.value().command, Command::selfcheck);
}

TEST(CommandLine, Probe) {
  const auto plain = parse({"probe"}).command_line.value();
  EXPECT_EQ(plain.command, Command::probe);
  EXPECT_EQ(plain.max_bytes, 16 << 20);
  EXPECT_FALSE(plain.quick);
  const auto all = parse({"probe", "--max-bytes", "64KiB", "--quick", "--json", "-o", "p.json", "--label",
                          "ib", "--watchdog", "9"})
                       .command_line.value();
  EXPECT_EQ(all.max_bytes, 65536);
  EXPECT_TRUE(all.quick && all.json);
  EXPECT_EQ(all.output, "p.json");
  EXPECT_EQ(all.watchdog_s, 9);
  EXPECT_EQ(parse({"probe", "--max-bytes", "1kB"}).command_line.value().max_bytes, 1000);
  for (const char* bad : {"63", "2GiB", "-1", "1.5MiB", "much", ""})
    EXPECT_EQ(parse({"probe", "--max-bytes", bad}).exit_status, 2) << bad;
  EXPECT_EQ(parse({"probe", "--watchdog", "nan"}).exit_status, 2);
}

TEST(CommandLine, HelpNamesTypesAndNoInnerWords) {
  testing::internal::CaptureStdout();
  const char* const words[] = {"tpbench", "probe", "--help"};
  EXPECT_EQ(parse_command_line(3, words, /*speaks=*/true).exit_status, 0);
  const std::string help = testing::internal::GetCapturedStdout();
  EXPECT_NE(help.find("--max-bytes SIZE  "), std::string::npos) << help;
  EXPECT_NE(help.find("--watchdog SECONDS  "), std::string::npos) << help;
}

TEST(CommandLine, CompareAndExport) {
  const auto compare = parse({"compare", "a", "b", "c", "--format", "markdown"}).command_line.value();
  EXPECT_EQ(compare.command, Command::compare);
  EXPECT_EQ(compare.folders, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(compare.compare_format, CompareFormat::markdown);
  EXPECT_FALSE(compare.fail_above);
  const auto exported = parse({"export", "a", "--to", "nccl-tests", "-o", "x.json"}).command_line.value();
  EXPECT_EQ(exported.command, Command::export_results);
  EXPECT_EQ(exported.export_format, ExportFormat::nccl_tests);
  EXPECT_EQ(exported.output, "x.json");
}

TEST(CommandLine, AShareIsPercentOrAFraction) {
  const auto share = [](const char* text) {
    return parse({"compare", "a", "b", "--fail-above", text}).command_line.value().fail_above.value();
  };
  EXPECT_DOUBLE_EQ(share("5%"), 0.05);
  EXPECT_DOUBLE_EQ(share("5 %"), 0.05);
  EXPECT_DOUBLE_EQ(share("0.05"), 0.05);
  EXPECT_DOUBLE_EQ(share("2.5%"), 0.025);
  EXPECT_DOUBLE_EQ(share("150%"), 1.5);
  EXPECT_DOUBLE_EQ(share("0"), 0);
  for (const char* text : {"5", "1.01", "-5%", "-0", "nan", "inf", "nan%", "", "%", " 5%", "5%%", "5 pct",
                           "0x1", "1e999", "0.05 "}) {
    const std::string option = std::string("--fail-above=") + text;
    expect_refused({"compare", "a", "b", option.c_str()});
  }
}

TEST(CommandLine, RefusesWhatItCannotMean) {
  expect_refused({});
  expect_refused({"--confg", "a.json"});
  expect_refused({"compare", "a"});
  expect_refused({"compare", "a", "b", "--format", "jsonl"});
  expect_refused({"export", "a"});
  expect_refused({"export", "a", "b", "--to", "csv"});
  expect_refused({"export", "a", "--to", "xlsx"});
  expect_refused({"--config", "a.json", "--output", "x", "--resume", "y"});
  expect_refused({"--config", "a.json", "--output", "x", "--continue", "y"});
  expect_refused({"--config", "a.json", "--resume", "x", "--continue", "y"});
  expect_refused({"--continue", "y"});
  expect_refused({"--config", "a.json", "--continue", ""});
  expect_refused({"--config", "a.json", "--quiet", "--verbose"});
  for (const char* format : {"2", "Table", "xml", ""})
    expect_refused({"--config", "a.json", "--format", format});
  for (const char* seconds : {"nan", "inf", "0", "-1", "soon"})
    expect_refused({"--config", "a.json", "--watchdog", seconds});
  expect_refused({"--config", "a.json", "--label", "two\nlines"});
  expect_refused({"--config", "a.json", "--label", "\x1b[31mred"});
}

TEST(CommandLine, NothingIsDroppedBeforeACommand) {
  for (const auto& words :
       std::vector<std::vector<const char*>>{{"--backend", "cuda", "selfcheck"},
                                             {"--format", "csv", "compare", "a", "b"},
                                             {"--config", "a.json", "--dry-run", "models"},
                                             {"-q", "probe"}}) {
    EXPECT_NE(complaint(words).find("comes before "), std::string::npos) << words.front();
  }
  EXPECT_EQ(complaint({"-c", "a.json", "run", "-c", "b.json"}),
            "tpbench: error: --config: is given before run and after it; give it once");
  expect_refused({"-c", "a.json", "-q", "run", "-q"});
  EXPECT_EQ(parse({"-c", "a.json", "-q", "run", "--label", "x"}).command_line.value().config, "a.json");
}

TEST(CommandLine, OneKeyByTwoOptionsIsRefused) {
  EXPECT_EQ(complaint({"-c", "a.json", "--seed", "5", "--set", "seed=7"}),
            "tpbench: error: --seed 5 and --set seed=7: both set seed; give one");
  expect_refused({"-c", "a.json", "--backend", "cpu", "--set", "backend = cuda"});
  expect_refused({"-c", "a.json", "--set", "verify=full", "--no-verify"});
  EXPECT_TRUE(parse({"-c", "a.json", "--seed", "5", "--set", "seeds=7", "--set", "dtype=f64"}).command_line);
}

TEST(CommandLine, AnEmptyWordIsNotTheDefault) {
  for (const char* option : {"--config", "--output", "--backend", "--seed"})
    EXPECT_EQ(complaint({"-c", "a.json", option, ""}).find("tpbench: error: -"), 0U) << option;
  EXPECT_EQ(complaint({"-c", "a.json", "-o", ""}), "tpbench: error: --output: must not be empty");
  EXPECT_EQ(complaint({"-c", "a.json", "--resume", ""}), "tpbench: error: --resume: must not be empty");
  EXPECT_EQ(complaint({"export", "a", "--to", "csv", "-o", ""}),
            "tpbench: error: --output: must not be empty");
  EXPECT_EQ(complaint({"probe", "-o", ""}), "tpbench: error: --output: must not be empty");
}

TEST(CommandLine, ComplaintsNamePlaceValueAndRule) {
  EXPECT_EQ(complaint({"-c", "a.json", "--watchdog", "0"}),
            "tpbench: error: --watchdog: 0: must be a number of seconds from 1 to 86400");
  EXPECT_EQ(
      complaint({"probe", "--max-bytes", "1e6"}),
      "tpbench: error: --max-bytes: 1e6: must be a whole number of bytes from 64 to 1GiB, such as 1048576 or "
      "64KiB");
  EXPECT_EQ(complaint({"-c", "a.json", "-c", "b.json"}), "tpbench: error: --config: is given more than once");
  EXPECT_EQ(complaint({"-c"}), "tpbench: error: --config: needs a value");
  EXPECT_EQ(complaint({"-c", "a.json", "--confg", "x"}),
            "tpbench: error: --confg: is not an option of tpbench (did you mean \"--config\"?)");
  EXPECT_EQ(complaint({"info", "x"}), "tpbench: error: info: unexpected argument \"x\"");
  EXPECT_EQ(complaint({"export", "DIR", "--format", "csv"}),
            "tpbench: error: --format: is not an option of export");
  EXPECT_EQ(complaint({"export", "DIR", "--format=csv"}),
            "tpbench: error: --format=csv: is not an option of export");
  EXPECT_EQ(complaint({"export", "A", "B", "--to", "csv"}),
            "tpbench: error: folder: is given more than once");
}

TEST(CommandLine, UnknownCommandsAreRefusedAlsoBesideHelp) {
  for (const auto& words : std::vector<std::vector<const char*>>{{"prob"}, {"prob", "--help"}}) {
    EXPECT_EQ(complaint(words).find(
                  "tpbench: error: \"prob\" is not a command (did you mean \"probe\"?); commands are run"),
              0U);
  }
}

// ---- help of each command, and what is made of the command line's own description

std::string help_of(const std::vector<const char*>& words) {
  std::vector<const char*> all = {"tpbench"};
  all.insert(all.end(), words.begin(), words.end());
  testing::internal::CaptureStdout();
  (void)parse_command_line(static_cast<int>(all.size()), all.data(), /*speaks=*/true);
  return testing::internal::GetCapturedStdout();
}

constexpr const char* kCommands[] = {"run",   "validate", "models", "info",   "selfcheck",
                                     "probe", "compare",  "export", "report", "describe"};

TEST(CommandLine, EachCommandHasItsOwnExamplesOnly) {
  for (const char* command : kCommands) {
    const std::string help = help_of({command, "--help"});
    const std::size_t examples = help.find("Examples:");
    ASSERT_NE(examples, std::string::npos) << command;
    for (const std::string& line : split(help.substr(examples), '\n')) {
      if (line.find("tpbench ") == std::string::npos || !line.starts_with("  ")) continue;
      EXPECT_NE(line.find(std::string("tpbench ") + command), std::string::npos) << command << ": " << line;
    }
  }
  const std::string help = help_of({"--help"});
  EXPECT_EQ(help.find("tpbench export"), std::string::npos);
  EXPECT_NE(help.find("Exit status: 0 every case ok"), std::string::npos);
}

TEST(Describe, HasEveryCommandAndOption) {
  for (const char* form : {"man", "bash", "zsh"}) {
    const std::string text = parse({"describe", form}).command_line.value().description;
    for (const char* command : kCommands)
      EXPECT_NE(text.find(command), std::string::npos) << form << ' ' << command;
    for (std::string option :
         {"--config", "--fail-above", "--inconclusive", "--max-bytes", "--to", "--watchdog"}) {
      if (std::string(form) == "man")
        option = option == "--fail-above" ? "\\-\\-fail\\-above" : "\\-\\-" + option.substr(2, 2);
      EXPECT_NE(text.find(option), std::string::npos) << form << ' ' << option;
    }
  }
  EXPECT_EQ(parse({"describe", "fish"}).exit_status, 2);
  EXPECT_NE(parse({"describe", "bash"})
                .command_line.value()
                .description.find("compgen -W 'table csv json markdown none'"),
            std::string::npos);
}

TEST(CommandLine, AGateSaysWhatOpenCountsAs) {
  const auto line =
      parse({"compare", "a", "b", "--fail-above", "5%", "--inconclusive", "fail"}).command_line.value();
  EXPECT_EQ(line.inconclusive, GateOutcome::fail);
  EXPECT_EQ(parse({"compare", "a", "b", "--fail-above", "5%", "--inconclusive", "maybe"}).exit_status, 2);
  EXPECT_EQ(parse({"compare", "a", "b", "--inconclusive", "pass"}).exit_status, 2) << "there is no gate";
}

TEST(CommandLine, HelpAndVersionAreNoMistake) {
  for (const char* option : {"--help", "--version"}) {
    const ParsedCommandLine parsed = parse({option});
    EXPECT_FALSE(parsed.command_line);
    EXPECT_EQ(parsed.exit_status, 0);
  }
}

}  // namespace
}  // namespace tpbench
